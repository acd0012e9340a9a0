// The loss along a run by its learning rates (Luo et al. 2025). data: {theta, steps, warmup, blocks, peak}
// The rate is constant within each block of steps, so that the law's sum over steps is one over blocks.

/** The rate of each block: a warm-up, then a cosine, or a constant rate that falls over the last share of the run. */
function rates({ kind, share, final, peak }, { blocks, warmup }) {
  const falls = { cosine: (done) => final + (1 - final) * 0.5 * (1 + Math.cos(Math.PI * done)), constant: () => 1 };
  const shape = falls[kind] ?? ((done) => Math.max(Math.min((1 - done) / share, 1), final));
  const rest = blocks - warmup;
  return Array.from({ length: blocks }, (_, b) => peak * (b < warmup ? (b + 1) / warmup : shape((b - warmup + 1) / rest)));
}

/** The loss after each block past the warm-up, and the way that was made as a share of peak times steps. */
function compute(state) {
  const { data } = state, { L_0, A, alpha, B, C, beta, gamma } = data.theta, each = data.steps / data.blocks;
  const eta = rates(state, data), way = [0];
  for (const rate of eta) way.push(way.at(-1) + each * rate); // way[b]: the sum of the rates before block b
  const losses = [];
  for (let j = data.warmup; j < data.blocks; j++) {
    let fallen = 0;
    for (let i = data.warmup; i <= j; i++) {
      const fall = eta[i - 1] - eta[i];
      if (fall !== 0) fallen += fall * (1 - (C * eta[i] ** -gamma * (way[j + 1] - way[i]) + 1) ** -beta);
    }
    losses.push([each * (j + 1), L_0 + A * way[j + 1] ** -alpha - B * fallen]);
  }
  return { rates: eta, losses, end: losses.at(-1)[1], way: way.at(-1) / (state.peak * data.steps) };
}

function show(state) {
  const { data, peak } = state, mine = compute(state), cosine = compute({ ...state, kind: "cosine", final: 0.1 });
  const each = data.steps / data.blocks, late = (losses) => losses.filter(([step]) => step >= data.steps / 8);
  const all = [...late(mine.losses), ...late(cosine.losses)].map(([, loss]) => loss), low = Math.min(...all), high = Math.max(...all);
  const foot = low - 0.45 * (high - low), scaled = mine.rates.map((rate, b) => [each * (b + 1), foot + 0.3 * (high - low) * (rate / peak)]);
  const ahead = 100 * (1 - mine.end / cosine.end);
  return {
    x: { label: "step", low: 0, high: data.steps },
    y: { label: "loss (nats per token)", low: foot, high },
    shapes: [
      { line: late(cosine.losses), kind: 1, dashed: true, label: "a cosine to a tenth" },
      { line: late(mine.losses), kind: 0, label: "your schedule" },
      { line: scaled, kind: 2, label: "its learning rate, scaled" },
    ],
    says: `Your schedule ends at ${words(mine.end, 4)} nats, ${words(Math.abs(ahead), 2)}% ${ahead >= 0 ? "below" : "above"} the cosine's ${words(cosine.end, 4)}. The sum of its rates is ${words(100 * mine.way, 2)}% of the peak times the steps; the cosine's is ${words(100 * cosine.way, 2)}%.`,
  };
}

function render({ model, el }) {
  view({
    model, el, show, name: "schedule", title: "A loss curve from its learning rates",
    describe: "Loss against step for a schedule of learning rates and for a cosine, with the schedule below.",
    controls: [
      { name: "kind", label: "schedule", options: [["wsd", "constant, then a fall"], ["cosine", "cosine"], ["constant", "constant"]] },
      { name: "share", label: "share of the run in which it falls", low: 0.05, high: 1, step: 0.05 },
      { name: "final", label: "last rate over the peak", low: 0.02, high: 1, step: 0.02 },
      { name: "peak", label: "peak rate", low: 1e-4, high: 1e-3, log: true },
    ],
  });
}

export { compute };
export default { render };
