// A power law with a floor: L = E + A x^-alpha. data: {points: [[x, loss], ...], x: name of the axis}

function compute({ E, A, alpha, x }) {
  const loss = E + A * x ** -alpha;
  return { loss, tenfold: E + A * (10 * x) ** -alpha, slope: (alpha * (loss - E)) / loss };
}

function show(state) {
  const { E, A, alpha, x, data } = state;
  const { loss, tenfold, slope } = compute(state);
  const sizes = spread(data.low, data.high, 121, true);
  const line = sizes.map((v) => [v, E + A * v ** -alpha]);
  const all = [...line.map(([, v]) => v), ...data.points.map(([, v]) => v), E || loss];
  return {
    x: { label: data.x, low: data.low, high: data.high, log: true },
    y: { label: "loss (nats per token)", low: Math.min(...all) * 0.96, high: Math.max(...all) * 1.05, log: true },
    shapes: [
      { dots: data.points, kind: 0, label: data.points.length ? "runs" : "", size: 3.2 },
      { line, kind: 1, label: "E + A / xᵅ" },
      ...(E > 0 ? [{ across: E, kind: 2, dashed: true, label: "floor E" }] : []),
      { dots: [[x, loss]], kind: 3, size: 6 },
    ],
    says: `At x = ${words(x)} the loss is ${words(loss, 4)}; ten times as much makes it ${words(tenfold, 4)}. The slope there, in two logarithmic axes, is −${words(slope)}; far above the floor it would be −${words(alpha)}.`,
  };
}

function render({ model, el }) {
  const { low, high } = model.get("data");
  view({
    model, el, show, name: "power", title: "A power law with a floor",
    describe: "Loss against x in two logarithmic axes: a falling line that bends towards its floor.",
    controls: [
      { name: "E", label: "floor E", low: 0, high: 3, step: 0.01 },
      { name: "A", label: "scale A", low: 0.1, high: 1000, log: true },
      { name: "alpha", label: "exponent α", low: 0.02, high: 1, step: 0.01 },
      { name: "x", label: "look at x", low, high, log: true },
    ],
  });
}

export { compute };
export default { render };
