// Size, data, loss and time for a budget and an expected use under several laws. data: {laws: {name: {label, E, A, B, alpha, beta}}}

function compute({ C, served, data }) {
  return Object.fromEntries(Object.entries(data.laws).map(([name, law]) => [name, surface(law).serving(C, served)]));
}

function show(state) {
  const { C, speed, served, law, data } = state;
  const laws = Object.entries(data.laws), all = compute(state), mine = all[law];
  const budgets = spread(1e17, 1e27, 61, true);
  const days = (6 * mine.N * mine.D) / speed / 86400;
  return {
    x: { label: "C (FLOPs)", low: 1e17, high: 1e27, log: true },
    y: { label: "N (parameters)", low: 1e7, high: 1e13, log: true },
    shapes: [
      ...laws.map(([, constants], kind) => ({ line: budgets.map((budget) => [budget, surface(constants).serving(budget, served).N]), kind, label: constants.label })),
      ...laws.map(([name], kind) => ({ dots: [[C, all[name].N]], kind, size: name === law ? 7 : 4 })),
    ],
    says: `For the loss that ${words(C)} FLOPs buy, and ${words(served)} tokens to serve. ${data.laws[law].label}: ${words(mine.N)} parameters on ${words(mine.D)} tokens, ${words(mine.D / mine.N)} each, loss ${words(mine.loss, 4)}; ${days < 2 ? `${words(days * 24)} hours` : `${words(days)} days`} of training at ${words(speed)} FLOP/s. Serving included, that saves ${words(100 * mine.saved, 2)}% against the best for training alone. Over the laws shown, the size goes from ${words(Math.min(...Object.values(all).map(({ N }) => N)))} to ${words(Math.max(...Object.values(all).map(({ N }) => N)))}.`,
  };
}

function render({ model, el }) {
  const laws = Object.entries(model.get("data").laws).map(([name, law]) => [name, law.label]);
  view({
    model, el, show, name: "planner", title: "The planner",
    describe: "Best size against compute in logarithmic axes, a line for each law, with a mark at the chosen budget.",
    controls: [
      { name: "law", label: "law", options: laws },
      { name: "C", label: "compute C", low: 1e17, high: 1e27, log: true },
      { name: "served", label: "tokens served", low: 1e9, high: 1e15, log: true },
      { name: "speed", label: "FLOP/s", low: 1e10, high: 1e20, log: true },
    ],
  });
}

export { compute };
export default { render };
