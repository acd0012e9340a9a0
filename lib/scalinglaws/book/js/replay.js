// Stored training runs: a curve, and where the finished run lies among all others.
// data: {runs: {name: {label, curve: [[tokens, loss], ...], tokens, flops, loss}}}

const whole = (tokens) => Math.round(tokens).toLocaleString("en-US");

/** The last point of a curve that was reached after `share` of its tokens. */
function compute({ run, share, data }) {
  const { curve, tokens } = data.runs[run];
  const seen = curve.filter(([at]) => at <= share * tokens * (1 + 1e-12));
  const [at, loss] = seen[seen.length - 1] ?? curve[0];
  return { tokens: at, loss };
}

function show(state) {
  const { run, share, data } = state;
  const { curve, tokens, flops, loss: last } = data.runs[run];
  const { tokens: at, loss } = compute(state);
  const runs = Object.values(data.runs), per_token = flops / tokens;
  const losses = [...curve.map(([, v]) => v), ...runs.map((each) => each.loss)];
  const C = runs.map((each) => each.flops);
  return {
    x: { label: "C so far (FLOPs)", low: Math.min(...C) / 30, high: Math.max(...C) * 1.5, log: true },
    y: { label: "loss (nats per token)", low: Math.min(...losses) * 0.97, high: Math.min(Math.max(...losses), 4) * 1.03, log: true },
    shapes: [
      { dots: runs.map((each) => [each.flops, each.loss]), kind: 0, size: 3, faint: true, label: "all runs, finished" },
      { line: curve.map(([t, v]) => [t * per_token, v]), kind: 1, faint: true },
      { line: curve.filter(([t]) => t <= at).map(([t, v]) => [t * per_token, v]), kind: 1, label: "this run" },
      { dots: [[at * per_token, loss]], kind: 3, size: 6 },
    ],
    says: `${data.runs[run].label}: after ${whole(at)} of ${whole(tokens)} tokens (${words(at * per_token)} FLOPs) the training loss is ${words(loss, 4)}; finished, the run scores ${words(last, 4)} on held-out text.`,
  };
}

function render({ model, el }) {
  const runs = Object.entries(model.get("data").runs).map(([name, { label }]) => [name, label]);
  view({
    model, el, show, name: "replay", title: "A training run, replayed",
    describe: "Loss against compute in logarithmic axes: the learning curve of one run up to a point, and the ends of all stored runs.",
    controls: [
      { name: "run", label: "run", options: runs },
      { name: "share", label: "share of the run", low: 0.02, high: 1, step: 0.02 },
    ],
  });
}

export { compute };
export default { render };
