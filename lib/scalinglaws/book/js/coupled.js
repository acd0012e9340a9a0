// Size and data in one bracket, over runs. data: {runs: {name: {label, points: [[N, D, L], ...], fits: {cut: [{k, E, A, B, alpha, beta}, ...]}}}}

/** E + [(A N^-alpha)^(1/k) + (B D^-beta)^(1/k)]^k, from logarithms, since a power of 1/k overflows. */
function coupled({ E, A, B, alpha, beta, k }, N, D) {
  const size = Math.log(A) - alpha * Math.log(N), data = Math.log(B) - beta * Math.log(D);
  return E + Math.exp(Math.max(size, data) + k * Math.log1p(Math.exp(-Math.abs(size - data) / k)));
}

/** The fit with the k nearest to what was asked for, and by how much it misses the runs below the cut and those beyond. */
function compute({ runs, cut, k, data }) {
  const { points, fits } = data.runs[runs];
  const off = (law) => Math.abs(Math.log(law.k / k));
  const law = fits[cut].reduce((best, other) => (off(other) < off(best) ? other : best));
  const most = Math.max(...points.map(([N, D]) => N * D));
  const seen = [], hidden = [];
  for (const [N, D, L] of points) (N * D <= (most / cut) * (1 + 1e-9) ? seen : hidden).push([N, D, L, Math.log(L / coupled(law, N, D))]);
  const mean = (all) => all.reduce((sum, [, , , error]) => sum + error, 0) / all.length;
  const rms = (all) => Math.sqrt(all.reduce((sum, [, , , error]) => sum + error ** 2, 0) / all.length);
  return { law, seen, hidden, fit: rms(seen), rms: rms(hidden), mean: mean(hidden) };
}

function show(state) {
  const { points } = state.data.runs[state.runs];
  const { law, seen, hidden, fit, rms, mean } = compute(state);
  const [tokens, losses] = [1, 2].map((column) => points.map((point) => point[column]));
  const x = { label: "D (tokens)", low: Math.min(...tokens) / 1.5, high: Math.max(...tokens) * 1.5, log: true };
  const top = Math.max(...losses), bottom = Math.min(...losses), margin = 0.08 * (top - bottom);
  const line = (N) => spread(x.low, x.high, 81, true).map((D) => [D, coupled(law, N, D)]);
  const sizes = [...new Set(points.map(([N]) => N))].sort((one, other) => one - other);
  const dots = (all) => all.map(([, D, L]) => [D, L]);
  const percent = (value) => words(100 * value, 2);
  const nearest = words(law.k, 2) === words(state.k, 2) ? "" : ", the nearest that was fitted";
  const ahead = hidden.length
    ? ` The other ${hidden.length}, with up to ${words(state.cut)} times the compute, lie ${percent(Math.abs(mean))}% ${mean < 0 ? "below" : "above"} it on average, ${percent(rms)}% rms.`
    : " Nothing is held back.";
  return {
    x, y: { label: "loss (nats per token)", low: bottom - margin, high: top + margin },
    shapes: [
      ...sizes.map((N, i) => ({ line: line(N), kind: 0, faint: true, label: i ? undefined : "the law, one line for each size" })),
      { dots: dots(seen), kind: 0, label: "fitted" },
      ...(hidden.length ? [{ dots: dots(hidden), kind: 1, label: "predicted" }] : []),
    ],
    says: `k = ${words(law.k, 2)}${nearest}, E = ${words(law.E)}: the ${seen.length} fitted cells lie ${percent(fit)}% (rms) off the law.${ahead}`,
  };
}

function render({ model, el }) {
  const { runs } = model.get("data");
  view({
    model, el, show, name: "coupled", title: "From the larger shortage to the sum",
    describe: "Loss against tokens, one line for each size, over measured runs: those that the law was fitted to, and those that it predicts.",
    controls: [
      { name: "runs", label: "runs", options: Object.entries(runs).map(([name, { label }]) => [name, label]) },
      { name: "cut", label: "fitted to", options: [[1, "all runs"], [4, "those below 1/4 of the compute"], [16, "those below 1/16 of the compute"]] },
      { name: "k", label: "k (1 is the sum)", low: 0.1, high: 2, log: true },
    ],
  });
}

export { compute };
export default { render };
