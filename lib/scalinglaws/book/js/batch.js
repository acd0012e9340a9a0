// Steps and tokens to a loss against batch: (S/S_min - 1)(T/T_min - 1) = 1 (McCandlish et al. 2018). data: {fits: {name: {label, S_min, T_min, runs: [[B, steps], ...]}}}

function compute({ fit, B, data }) {
  const { S_min, T_min } = data.fits[fit];
  const critical = T_min / S_min;
  return { critical, steps: S_min * (1 + critical / B), tokens: T_min * (1 + B / critical) };
}

/** Shares of the steps that twice the batch saves, and of the tokens that it adds. */
function doubled(state) {
  const [now, then] = [state, { ...state, B: 2 * state.B }].map(compute);
  return { fewer: 1 - then.steps / now.steps, more: then.tokens / now.tokens - 1 };
}

function show(state) {
  const { fit, B, data } = state;
  const { S_min, T_min, runs = [] } = data.fits[fit];
  const { critical, steps, tokens } = compute(state);
  const twice = doubled(state);
  const x = { label: "batch (tokens per step)", low: data.low, high: data.high, log: true };
  const batches = spread(x.low, x.high, 121, true);
  return {
    x,
    y: { label: "times the least possible", low: 1, high: 40, log: true },
    shapes: [
      { line: batches.map((b) => [b, 1 + critical / b]), kind: 0, label: "steps" },
      { line: batches.map((b) => [b, 1 + b / critical]), kind: 1, label: "tokens" },
      { dots: runs.map(([batch, taken]) => [batch, taken / S_min]), kind: 0, faint: true, size: 3 },
      { dots: runs.map(([batch, taken]) => [batch, (taken * batch) / T_min]), kind: 1, faint: true, size: 3 },
      { down: critical, kind: 2, dashed: true, label: "critical batch" },
      { dots: [[B, steps / S_min]], kind: 0, size: 6 },
      { dots: [[B, tokens / T_min]], kind: 1, size: 6 },
    ],
    says: `The critical batch is ${words(critical)} tokens. With ${words(B)} tokens a step the target takes ${words(steps)} steps, ${words(steps / S_min)} times the fewest, and ${words(tokens)} tokens, ${words(tokens / T_min)} times the fewest. Twice this batch would take ${words(100 * twice.fewer, 2)}% fewer steps and ${words(100 * twice.more, 2)}% more tokens.`,
  };
}

function render({ model, el }) {
  const { fits, low, high } = model.get("data");
  view({
    model, el, show, name: "batch", title: "Steps against tokens",
    describe: "Steps and tokens to a target loss against batch in logarithmic axes: steps fall, tokens rise, and both are twice the least at the critical batch.",
    controls: [
      { name: "fit", label: "target", options: Object.entries(fits).map(([name, { label }]) => [name, label]) },
      { name: "B", label: "batch", low, high, log: true },
    ],
  });
}

export { compute, doubled };
export default { render };
