// The cheapest model of a given loss when it will be used. data: {laws: {name: {label, E, A, B, alpha, beta}}}

function compute({ law, C, served, data }) {
  return surface(data.laws[law]).serving(C, served);
}

function show(state) {
  const { law, C, data } = state;
  const { N, D, loss, saved, alone } = compute(state);
  const x = { label: "tokens served (D_inf)", low: 1e9, high: 1e15, log: true };
  const uses = spread(x.low, x.high, 61, true);
  const along = uses.map((served) => compute({ law, C, served, data }));
  const ratios = along.map((best) => best.D / best.N);
  return {
    x,
    y: { label: "tokens per parameter", low: Math.min(...ratios) / 2, high: Math.max(...ratios) * 3, log: true },
    shapes: [
      { line: uses.map((served, i) => [served, ratios[i]]), kind: 0, label: "cheapest in all" },
      { across: alone.D / alone.N, kind: 1, dashed: true, label: "training alone" },
      { dots: [[state.served, D / N]], kind: 3, size: 6 },
    ],
    says: `For the loss of ${words(loss, 4)} that ${words(C)} FLOPs buy: with ${words(state.served)} tokens to serve, ${words(N)} parameters on ${words(D)} tokens (${words(D / N)} each) are cheapest, and save ${words(100 * saved, 2)}% of all compute against ${words(alone.N)} on ${words(alone.D)}.`,
  };
}

function render({ model, el }) {
  const laws = Object.entries(model.get("data").laws).map(([name, law]) => [name, law.label]);
  view({
    model, el, show, name: "inference", title: "A model that will be used",
    describe: "Tokens per parameter of the cheapest model against the tokens it will serve, in logarithmic axes: flat at first, then rising.",
    controls: [
      { name: "law", label: "law", options: laws },
      { name: "C", label: "C, training alone", low: 1e19, high: 1e26, log: true },
      { name: "served", label: "tokens served", low: 1e9, high: 1e15, log: true },
    ],
  });
}

export { compute };
export default { render };
