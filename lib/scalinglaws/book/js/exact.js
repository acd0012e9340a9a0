// Right answers of k tokens, all of which have to be right: p^k with p = exp(-(C/c)^-a) (Schaeffer et al. 2023). data: {c, a, measured: {k: [[C, share], ...]}, low, high}

function chance(C, k, { c, a }) {
  return Math.exp(-k * Math.pow(C / c, -a));
}

/** Share of right answers of one token and of k, what twice the compute adds to each, and where k tokens come to one half. */
function compute({ k, C, data }) {
  const one = chance(C, 1, data), all = chance(C, k, data);
  const half = data.c * Math.pow(k / Math.LN2, 1 / data.a);
  return { one, all, half, oneMore: chance(2 * C, 1, data) - one, allMore: chance(2 * C, k, data) - all };
}

function show(state) {
  const { k, C, axis, data } = state;
  const { one, all, half, oneMore, allMore } = compute(state);
  const log = axis === "log";
  const x = { label: "training compute C (FLOPs)", low: data.low, high: data.high, log: true };
  const along = spread(x.low, x.high, 121, true);
  const times = all > 0 ? `, ${words(1 + allMore / all, 2)} times as many` : "";
  return {
    x,
    y: { label: "share of answers that are right", low: log ? 1e-4 : 0, high: log ? 1 : 1.02, log },
    shapes: [
      { line: along.map((c) => [c, chance(c, 1, data)]), kind: 0, label: "one token" },
      { line: along.map((c) => [c, chance(c, k, data)]), kind: 1, label: "k tokens, if independent" },
      { dots: data.measured[1] ?? [], kind: 0, faint: true, size: 3 },
      { dots: k > 1 ? data.measured[k] ?? [] : [], kind: 1, faint: true, size: 3 },
      { dots: [[C, one]], kind: 0, size: 6 },
      { dots: [[C, all]], kind: 1, size: 6 },
    ],
    says: `With ${words(C)} FLOPs one token is right in ${words(100 * one, 2)}% of cases and ${words(k)} in a row in ${words(100 * all, 2)}%. Twice the compute adds ${words(100 * oneMore, 2)} points to the one and ${words(100 * allMore, 2)} to the other${times}. Half of the long answers are right from ${words(half)} FLOPs on.`,
  };
}

function render({ model, el }) {
  const { low, high } = model.get("data");
  view({
    model, el, show, name: "exact", title: "All of an answer right",
    describe: "Share of right answers against compute: the curve of one token rises early and slowly, that of k tokens has the same shape and comes later; with a logarithmic axis it is the steeper one.",
    controls: [
      { name: "k", label: "tokens k", options: [1, 2, 4, 8, 16, 64].map((k) => [k, String(k)]) },
      { name: "axis", label: "share, axis", options: [["linear", "linear"], ["log", "logarithmic"]] },
      { name: "C", label: "compute", low, high, log: true },
    ],
  });
}

export { compute };
export default { render };
