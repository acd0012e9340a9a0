// The line that a study of small models finds, and where it leads. data: {law: {A, B, alpha, beta}, gamma, low, C, models: {name: [C, N]}}

/** Tokens of the best run of one size: h alpha A / T^alpha = beta B D / (D - w)^(beta + 1), by bisection in ln (D - w). */
function tokens({ A, B, alpha, beta }, T, h, w) {
  const wanted = Math.log((h * alpha * A) / (beta * B)) - alpha * Math.log(T);
  return w + Math.exp(zero((x) => wanted + (beta + 1) * x - Math.log(Math.exp(x) + w), -50, 150));
}

/** The study's best sizes with their compute, both in its own count, a line through them, and where that leads. */
function compute({ counted, warmup, largest, data }) {
  const { law, gamma, low, C } = data;
  const points = spread(low, largest, 41, true).map((N) => {
    const embedding = counted === "all" ? 0 : gamma * Math.cbrt(N);
    const T = N + embedding, h = (N + embedding / 3) / T;
    return [6 * N * tokens(law, T, h, warmup / 2), N];
  });
  const logs = points.map((point) => point.map(Math.log));
  const [x, y] = [0, 1].map((k) => logs.reduce((sum, log) => sum + log[k], 0) / logs.length);
  const a = logs.reduce((sum, [u, v]) => sum + (u - x) * (v - y), 0) / logs.reduce((sum, [u]) => sum + (u - x) ** 2, 0);
  const line = (at) => Math.exp(y + a * (Math.log(at) - x));
  return { points, a, line, reached: line(C), best: surface(law).optimum(C).N };
}

function show(state) {
  const { law, C, models } = state.data;
  const { points, a, line, reached, best } = compute(state);
  const x = { label: "C (FLOPs)", low: 1e14, high: 1e26, log: true };
  const y = { label: "N (parameters)", low: state.data.low / 2, high: 1e13, log: true };
  const budgets = spread(x.low, x.high, 49, true);
  return {
    x, y,
    shapes: [
      { line: budgets.map((at) => [at, surface(law).optimum(at).N]), kind: 0, label: "best size on the surface" },
      { line: budgets.map((at) => [at, line(at)]), kind: 1, dashed: true, label: "the study's line" },
      { dots: points.filter((_, i) => i % 4 === 0), kind: 1, label: "the study's best sizes" },
      { dots: Object.values(models), kind: 3, size: 5, label: Object.keys(models).join(", ") },
    ],
    says: `Models up to ${words(state.largest)}: the line has a = ${words(a)}. At the compute of Gopher it asks for ${words(reached / 1e9)} billion parameters, ${words(reached / best, 2)} times the best size on the surface, ${words(best / 1e9)} billion.`,
  };
}

function render({ model, el }) {
  view({
    model, el, show, name: "study", title: "The line of a study of small models",
    describe: "Best size against compute in logarithmic axes: the exact line of a surface, the points that a study of small models finds, and the line through them, carried on to large compute.",
    controls: [
      { name: "counted", label: "N and C counted", options: [["nonemb", "without embeddings"], ["all", "with all parameters"]] },
      { name: "warmup", label: "warmup (tokens)", low: 1e5, high: 1e10, log: true },
      { name: "largest", label: "largest model", low: 1e7, high: 1e12, log: true },
    ],
  });
}

export { compute };
export default { render };
