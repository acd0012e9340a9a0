// The plane of N and D: lines of equal loss, the line of equal compute, its best point. data: {laws: {name: {label, E, A, B, alpha, beta}}}

function compute({ law, C, ratio, data }) {
  const { loss, optimum } = surface(data.laws[law]);
  const best = optimum(C);
  const N = best.N * ratio, D = C / 6 / N;
  return { N: best.N, D: best.D, loss: best.loss, off: loss(N, D) - best.loss };
}

/** How much less compute would do, spent at the best size, for the loss of a size that is off by `ratio`. */
function wasted({ law, C, ratio, data }) {
  const { loss, optimum } = surface(data.laws[law]);
  const best = optimum(C);
  const target = loss(best.N * ratio, C / 6 / (best.N * ratio));
  return 1 - Math.exp(zero((logC) => target - optimum(Math.exp(logC)).loss, Math.log(C) - 60, Math.log(C))) / C;
}

function show(state) {
  const { law, C, ratio, data } = state;
  const { E, A, B, alpha, beta } = data.laws[law];
  const { N, D, loss, off } = compute(state);
  const x = { label: "N (parameters)", low: 1e7, high: 1e13, log: true };
  const y = { label: "D (tokens)", low: 1e8, high: 1e15, log: true };
  const sizes = spread(x.low, x.high, 161, true);
  // A line of equal loss comes down from endless data at one size; it begins where it enters the picture.
  const need = (target) => (n) => (B / (target - E - A * n ** -alpha)) ** (1 / beta);
  const enters = (target) => (A / (target - E - B * y.high ** -beta)) ** (1 / alpha);
  const level = (target) => [enters(target), ...sizes.filter((n) => n > enters(target))].map((n) => [n, need(target)(n)]);
  const levels = [0.03, 0.06, 0.12, 0.25, 0.5, 1, 2].map((above, i) => ({ line: level(E + above), kind: 0, faint: true, label: i ? undefined : "lines of equal loss" }));
  return {
    x, y,
    shapes: [
      ...levels,
      { line: level(loss), kind: 0, label: "the least loss at this C" },
      { line: sizes.map((n) => [n, C / 6 / n]), kind: 1, label: "C = 6 N D" },
      { dots: [[N, D]], kind: 3, size: 6, label: "optimum" },
      { dots: [[N * ratio, D / ratio]], kind: 2, size: 5, label: "your size" },
    ],
    says: `C = ${words(C)} FLOPs: the best size is ${words(N)} on ${words(D)} tokens, ${words(D / N)} tokens per parameter, for a loss of ${words(loss, 4)}. A model ${words(ratio)} times that size loses ${words(off)} nats, as much as ${words(100 * wasted(state), 2)}% of the compute.`,
  };
}

function render({ model, el }) {
  const laws = Object.entries(model.get("data").laws).map(([name, law]) => [name, law.label]);
  view({
    model, el, show, name: "plane", title: "The plane of size and data",
    describe: "Tokens against parameters in logarithmic axes: curves of equal loss, a falling line of equal compute, and the point where it touches the lowest curve.",
    controls: [
      { name: "law", label: "law", options: laws },
      { name: "C", label: "compute C", low: 1e18, high: 1e26, log: true },
      { name: "ratio", label: "your size / best", low: 0.1, high: 10, log: true },
    ],
  });
}

export { compute, wasted };
export default { render };
