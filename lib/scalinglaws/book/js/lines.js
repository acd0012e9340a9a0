// Two power laws, A's and B's: B's loss is a gap above A's at the least m, and the exponents differ.
// data: {A, alpha, low, high, x: name of the axis}

function compute({ gap, apart, m, data }) {
  const { A, alpha, low } = data, ratio = 1 + gap / 100, own = alpha - apart;
  const one = A * m ** -alpha, other = ratio * one * (m / low) ** apart;
  // B at this m reaches A's loss: ratio A low^-apart m^-own = A m^-alpha
  const needed = Math.exp((alpha * Math.log(m) - apart * Math.log(low) + Math.log(ratio)) / own);
  return { one, other, worth: needed / m, meet: apart ? low * ratio ** (-1 / apart) : null };
}

function show(state) {
  const { gap, apart, m, data: { A, alpha, low, high, x } } = state, { one, other, worth, meet } = compute(state);
  const sizes = spread(low, high, 61, true), of = (v) => compute({ ...state, m: v });
  const lines = sizes.map((v) => [v, of(v)]), first = lines.map(([v, { one: loss }]) => [v, loss]), second = lines.map(([v, { other: loss }]) => [v, loss]);
  const all = [...first, ...second].map(([, loss]) => loss), inside = meet !== null && meet >= low && meet <= high;
  const price = worth >= 1 ? `B needs ${words(worth, 3)} times the data for A's loss` : `A needs ${words(1 / worth, 3)} times the data for B's loss`;
  const where = inside ? ` The lines cross at ${words(meet)}: runs on one side of it rank A and B the wrong way round for the other.`
    : apart === 0 ? " The lines are parallel: small runs have the ranking already." : " They do not cross in this range.";
  return {
    x: { label: x, low, high, log: true },
    y: { label: "loss (nats)", low: Math.min(...all) * 0.98, high: Math.max(...all) * 1.02, log: true },
    shapes: [
      { line: first, kind: 0, label: `A: exponent ${words(alpha, 3)}` },
      { line: second, kind: 1, dashed: true, label: `B: exponent ${words(alpha - apart, 3)}` },
      ...(inside ? [{ dots: [[meet, A * meet ** -alpha]], kind: 2, size: 6, label: "they cross" }] : []),
      { dots: [[m, one], [m, other]], kind: 3, size: 5 },
    ],
    says: `At ${words(m)} B's loss is ${words(Math.abs(100 * (other / one - 1)), 2)}% ${other >= one ? "above" : "below"} A's, and ${price}.${where}`,
  };
}

function render({ model, el }) {
  const { low, high, x } = model.get("data");
  view({
    model, el, show, name: "lines", title: "Offset or slope",
    describe: "Two falling lines of loss against data in logarithmic axes, and where they cross.",
    controls: [
      { name: "gap", label: "offset: B above A at the least m, %", low: -10, high: 10, step: 0.1 },
      { name: "apart", label: "slope: A's exponent minus B's", low: -0.03, high: 0.03, step: 0.001 },
      { name: "m", label: `look at ${x}`, low, high, log: true },
    ],
  });
}

export { compute };
export default { render };
