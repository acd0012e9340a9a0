// Loss against learning rate, by width, under both parametrizations. data: {standard: {width: [[lr, loss], ...]}, mup: {...}}

/** The loss that each width has at the rate that is best for the narrowest one, less its own best. */
function compute({ parametrization, data }) {
  const valleys = Object.entries(data[parametrization]).sort(([one], [other]) => one - other);
  const lowest = (valley) => valley.reduce((best, point) => (point[1] < best[1] ? point : best));
  const rate = lowest(valleys[0][1])[0];
  return Object.fromEntries(valleys.map(([width, valley]) => [width, valley.find(([lr]) => lr === rate)[1] - lowest(valley)[1]]));
}

function show({ parametrization, octave, data }) {
  const valleys = Object.entries(data[parametrization]).sort(([one], [other]) => one - other);
  const all = ["standard", "mup"].flatMap((each) => Object.values(data[each]).flat());
  const losses = all.map(([, loss]) => loss).filter(Number.isFinite), rates = all.map(([lr]) => Math.log2(lr));
  const at = (valley) => valley.find(([lr]) => Math.log2(lr) === octave);
  const cost = compute({ parametrization, data });
  const widest = valleys[valleys.length - 1][0];
  const each = valleys.map(([width, valley]) => `${width}: ${at(valley) && Number.isFinite(at(valley)[1]) ? words(at(valley)[1], 4) : "none"}`).join(", ");
  return {
    x: { label: "log2 of the learning rate", low: Math.min(...rates) - 0.3, high: Math.max(...rates) + 0.3 },
    y: { label: "loss (nats per token)", low: Math.min(...losses) * 0.99, high: Math.min(...losses) * 1.45 },
    shapes: [
      ...valleys.map(([width, valley], kind) => ({ line: valley.map(([lr, loss]) => [Math.log2(lr), loss]), kind, label: `width ${width}` })),
      ...valleys.map(([, valley], kind) => ({ dots: at(valley) ? [[octave, at(valley)[1]]] : [], kind, size: 5 })),
      { down: octave, kind: 5, faint: true },
    ],
    says: `Loss at 2${raised(octave)}, by width: ${each}. Taking the best rate of the narrowest model costs the widest (${widest}) ${words(cost[widest], 2)} nats.`,
  };
}

function render({ model, el }) {
  const octaves = Object.values(model.get("data").mup)[0].map(([lr]) => Math.log2(lr));
  view({
    model, el, show, name: "valleys", title: "The learning rate's valley",
    describe: "Loss against the logarithm of the learning rate, a curve for each width; under the standard parametrization the lowest points move to the left, under muP they stay.",
    controls: [
      { name: "parametrization", label: "rules", options: [["standard", "standard"], ["mup", "muP"]] },
      { name: "octave", label: "rate, log2", low: Math.min(...octaves), high: Math.max(...octaves), step: 1 },
    ],
  });
}

export { compute };
export default { render };
