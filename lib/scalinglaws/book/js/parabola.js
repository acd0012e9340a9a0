// Approach 2 on a known surface: a parabola in ln N through points of one budget, and where its vertex lies. data: {E, C, n}

/** Quadratic least squares at equally spaced x from -1 to 1: value a + b x + c x². */
function quadratic(y) {
  const n = y.length, x = spread(-1, 1, n), sum = (f) => x.reduce((total, v, i) => total + f(v, y[i]), 0);
  const s2 = sum((v) => v * v), s4 = sum((v) => v ** 4), m = s2 / n;
  const b = sum((v, w) => v * w) / s2, c = sum((v, w) => (v * v - m) * w) / (s4 - n * m * m);
  return { a: sum((v, w) => w) / n - c * m, b, c };
}

/** Sizes of a budget around the optimum, losses there, and ln of the vertex over the true optimum. */
function compute({ alpha, beta, halfwidth, offset, data }) {
  const law = { E: data.E, A: data.reference ** alpha, B: (data.C / 6 / data.reference) ** beta, alpha, beta };
  const { loss, optimum } = surface(law), best = optimum(data.C);
  const center = Math.log(best.N * offset), half = Math.log(halfwidth);
  const sizes = spread(-1, 1, data.n).map((v) => Math.exp(center + half * v));
  const losses = sizes.map((N) => loss(N, data.C / 6 / N));
  const { a, b, c } = quadratic(losses);
  const vertex = -b / (2 * c);
  return { sizes, losses, a, b, c, center, half, best, bias: vertex * half + Math.log(offset), loss };
}

function show(state) {
  const { sizes, losses, a, b, c, center, half, best, bias, loss } = compute(state);
  const { data } = state;
  const low = Math.min(...sizes, best.N) / 1.5, high = Math.max(...sizes, best.N) * 1.5;
  const fine = spread(low, high, 141, true), top = Math.max(...losses), bottom = Math.min(...losses, best.loss), margin = 0.15 * (top - bottom);
  const u = (N) => (Math.log(N) - center) / half;
  return {
    x: { label: "N (parameters)", low, high, log: true },
    y: { label: "loss (nats per token)", low: bottom - margin, high: top + margin },
    shapes: [
      { line: fine.map((N) => [N, loss(N, data.C / 6 / N)]), kind: 0, label: "the surface" },
      { line: fine.map((N) => [N, a + b * u(N) + c * u(N) ** 2]), kind: 1, dashed: true, label: "parabola" },
      { dots: sizes.map((N, i) => [N, losses[i]]), kind: 0, size: 4 },
      { down: best.N, kind: 2, label: "true optimum" },
      { down: best.N * Math.exp(bias), kind: 1, dashed: true, label: "vertex" },
    ],
    says: `Sizes from ${words(Math.min(...sizes))} to ${words(Math.max(...sizes))}: the vertex is at ${words(Math.exp(bias))} times the best size, so the optimum is missed by ${words(100 * Math.abs(Math.expm1(bias)), 2)}% ${bias < 0 ? "to the small" : "to the large"} side. No noise: this is the method.`,
  };
}

function render({ model, el }) {
  view({
    model, el, show, name: "parabola", title: "A parabola through a curve that is none",
    describe: "Loss against size at one budget, a parabola fitted to a few sizes, and two vertical lines: the true optimum and the vertex of the parabola.",
    controls: [
      { name: "alpha", label: "exponent α", low: 0.1, high: 1, step: 0.01 },
      { name: "beta", label: "exponent β", low: 0.1, high: 1, step: 0.01 },
      { name: "halfwidth", label: "half-width", low: 1.5, high: 100, log: true },
      { name: "offset", label: "center / best", low: 0.25, high: 4, log: true },
    ],
  });
}

export { compute, quadratic };
export default { render };
