// What repeated data are worth: D' = U + U R* (1 - exp(-(epochs - 1) / R*)) (Muennighoff et al. 2023, eq. 5). data: {}

function compute({ U, epochs, R_star }) {
  const worth = U + U * R_star * (1 - Math.exp(-(epochs - 1) / R_star));
  return { tokens: U * epochs, worth, next: Math.exp(-(epochs - 1) / R_star), most: U * (1 + R_star) };
}

function show(state) {
  const { U, R_star } = state;
  const { tokens, worth, next, most } = compute(state);
  const epochs = spread(1, 100, 121, true);
  return {
    x: { label: "epochs", low: 1, high: 100, log: true },
    y: { label: "tokens of new text", low: U * 0.8, high: U * 130, log: true },
    shapes: [
      { line: epochs.map((n) => [n, U * n]), kind: 1, dashed: true, label: "if all were new" },
      { line: epochs.map((n) => [n, compute({ U, R_star, epochs: n }).worth]), kind: 0, label: "worth" },
      { across: most, kind: 2, faint: true, label: "the most" },
      { dots: [[state.epochs, worth]], kind: 3, size: 6 },
    ],
    says: `${words(U)} tokens read ${words(state.epochs)} times are ${words(tokens)} tokens of training, worth ${words(worth)} new ones (${words((100 * worth) / tokens, 3)}%). One more epoch is worth ${words(100 * next, 2)}% of a first one.`,
  };
}

function render({ model, el }) {
  view({
    model, el, show, name: "repeats", title: "What a second reading is worth",
    describe: "Worth of repeated tokens against epochs in logarithmic axes: it follows the line of new text at first, then levels off.",
    controls: [
      { name: "U", label: "unique tokens", low: 1e5, high: 1e13, log: true },
      { name: "epochs", label: "epochs", low: 1, high: 100, log: true },
      { name: "R_star", label: "decay R*", low: 1, high: 50, step: 0.1 },
    ],
  });
}

export { compute };
export default { render };
