// What has to be carried through a window: the counts of a chain or an order of symbols, beside what an LSTM's state and a
// transformer's keys and values hold. Numbers, each taken to hold one count or one symbol.

const READ = 128; // symbols: a window of chapter 3

/** Numbers after t symbols: asked for, held by an LSTM of one layer and by a transformer of two, at N parameters each. */
function compute({ task, V, N, t = READ }) {
  const all = task === "counts" ? V ** 2 : V;
  const state = 2 * Math.sqrt(N / 8); // N = 8 d², two vectors of d
  const keys = 2 * 2 * Math.sqrt(N / 24); // N = 2 · 12 d², a key and a value of d in each layer
  return { asked: Math.min(t, all), all, state, kept: keys * t, fullAt: all / keys, enough: 2 * all ** 2 };
}

function show(state) {
  const { V, N, task } = state, t = READ;
  const read = spread(1, 1e4, 81, true);
  const at = read.map((symbols) => compute({ task, V, N, t: symbols }));
  const { asked, all, state: held, kept, enough } = compute(state);
  const line = (name) => read.map((symbols, k) => [symbols, at[k][name]]);
  const what = task === "counts" ? `counts of which of ${V} symbols follows which` : `places of an order of ${V} symbols`;
  const fits = held >= all ? "enough for all, however long the window" : `too few for all ${words(all)}, for which it would take ${words(enough)} parameters`;
  return {
    x: { label: "symbols read", low: 1, high: 1e4, log: true },
    y: { label: "numbers", low: 1, high: 1e7, log: true },
    shapes: [
      { line: line("kept"), kind: 0, label: "keys and values, transformer of two layers" },
      { line: line("state"), kind: 1, label: "state, LSTM of one layer" },
      { line: line("asked"), kind: 2, dashed: true, label: "asked for, at most" },
      { dots: [[t, kept]], kind: 0, size: 5 }, { dots: [[t, held]], kind: 1, size: 5 }, { dots: [[t, asked]], kind: 2, size: 5 },
    ],
    says: `After ${words(Math.round(t))} symbols up to ${words(Math.round(asked))} ${what} have to be held. With ${words(N)} parameters the LSTM's state has ${words(Math.round(held))} numbers: ${fits}. The transformer has kept ${words(Math.round(kept))}.`,
  };
}

function render({ model, el }) {
  view({
    model, el, show, name: "memory", title: "What has to be carried, and where it is",
    describe: "Numbers against symbols read, in two logarithmic axes: a level line for the LSTM's state, a rising one for the transformer's keys and values, and a dashed one for what the source asks for, which rises and then stays level.",
    controls: [
      { name: "task", label: "source", options: [["counts", "chains: count what follows what"], ["order", "an order, to be repeated"]] },
      { name: "V", label: "symbols V", low: 2, high: 64, step: 1 },
      { name: "N", label: "parameters N", low: 1e3, high: 1e9, log: true },
    ],
  });
}

export { compute };
export default { render };
