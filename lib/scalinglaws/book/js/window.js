// A window of a chain, symbol by symbol: what is expected next by counting, by frequencies and by trained models.
// data: {alpha, windows: {name: {label, symbols: [...], models: {label: [[probability of each symbol, ...], ...]}}}}

/** The next symbol's chances after t symbols, and what the counts say that they follow from. */
function compute({ window, t, data }) {
  const { symbols, models } = data.windows[window], { alpha } = data;
  const read = symbols.slice(0, t), last = read[t - 1], V = Object.values(models)[0][0].length;
  const followed = Array(V).fill(0), seen = Array(V).fill(0);
  read.forEach((symbol, i) => {
    seen[symbol] += 1;
    if (i > 0 && read[i - 1] === last) followed[symbol] += 1;
  });
  const n = followed.reduce((sum, k) => sum + k, 0);
  return {
    read, last, next: symbols[t], followed,
    best: followed.map((k) => (k + alpha) / (n + V * alpha)), // the mean of the chain's row, given these counts
    frequencies: seen.map((k) => (k + 1) / (t + V)),
    models: Object.fromEntries(Object.entries(models).map(([label, rows]) => [label, rows[t - 1]])),
  };
}

function show(state) {
  const { read, last, next, followed, best, frequencies, models } = compute(state);
  const all = { [`counts of what followed ${last}`]: best, ...models, "frequencies of the symbols": frequencies };
  const shapes = Object.entries(all).flatMap(([label, chances], kind, { length }) => {
    const at = chances.map((p, symbol) => [symbol + 0.16 * (kind - (length - 1) / 2), p]);
    return [{ dots: at, kind, label, size: 4.5 }, ...at.map(([x, p]) => ({ line: [[x, 0], [x, p]], kind }))];
  });
  const percent = (p) => `${Math.round(100 * p)}%`;
  const times = followed.map((k, symbol) => [k, symbol]).filter(([k]) => k > 0).map(([k, symbol]) => `${symbol} (${k === 1 ? "once" : `${k} times`})`);
  const gave = Object.entries(all).map(([label, chances]) => `${label}: ${percent(chances[next])}`).join(", ");
  return {
    x: { label: "next symbol", low: -0.5, high: best.length - 0.5 },
    y: { label: "probability", low: 0, high: 1 },
    shapes,
    says: `Read: ${read.length > 24 ? "… " : ""}${read.slice(-24).join(" ")}. So far ${last} was followed by ${times.join(", ") || "nothing yet"}. Next came ${next}, its probability by ${gave}.`,
  };
}

function render({ model, el }) {
  const windows = Object.entries(model.get("data").windows);
  view({
    model, el, show, name: "window", title: "A window, read symbol by symbol",
    describe: "Probability of each next symbol, as stems with a dot, by counting what followed the last symbol, by trained models, and by the frequencies of the symbols.",
    controls: [
      { name: "window", label: "window", options: windows.map(([name, { label }]) => [name, label]) },
      { name: "t", label: "symbols read", low: 1, high: Math.min(...windows.map(([, { symbols }]) => symbols.length)) - 1, step: 1 },
    ],
  });
}

export { compute };
export default { render };
