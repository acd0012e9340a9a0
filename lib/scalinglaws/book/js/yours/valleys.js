// Approach 2: a parabola through the losses of each budget, and power laws through their minima (laws/frontier.py, laws/valleys.py).

const TOLERANCE = 0.1, CURVED = 1, WELL_CURVED = 2, EPS = 1e-12;

/** Rows of each budget in order of C: a gap in ln C ends one. Null where C runs on without a gap: no isoFLOP runs. */
function budgetsOf(C) {
  const order = range(C.length).sort((i, j) => C[i] - C[j] || i - j), groups = [];
  order.forEach((row, k) => {
    if (k && Math.log(C[row]) - Math.log(C[order[k - 1]]) <= TOLERANCE) groups.at(-1).push(row);
    else groups.push([row]);
  });
  const spread = (rows) => Math.log(Math.max(...rows.map((row) => C[row])) / Math.min(...rows.map((row) => C[row])));
  return groups.some((rows) => rows.length > 1 && spread(rows) > 3 * TOLERANCE) ? null : groups;
}

/** A parabola in the logarithm of N or D through losses: in v, the distance from the middle in half-widths. */
function parabola(letter, values, L) {
  const logs = values.map(Math.log), low = Math.min(...logs), high = Math.max(...logs), middle = (low + high) / 2, width = (high - low) / 2;
  const v = logs.map((value) => (value - middle) / width), columns = [v.map((value) => value ** 2), v, v.map(() => 1)];
  const gram = columns.map((one) => columns.map((other) => dot(one, other))), Q = basis(columns);
  const R = range(3).map((i) => range(3).map((j) => dot(Q[i], columns[j]))), scaled = solve(R, Q.map((q) => dot(q, L)));
  const vertex = -scaled[1] / (2 * scaled[0]), sizeOf = (gradient) => Math.sqrt(dot(gradient, solve(gram, gradient)));
  const fitted = v.map((value) => (scaled[0] * value + scaled[1]) * value + scaled[2]);
  return {
    letter, L, v, middle, width, scaled, vertex: scaled[0] > 0 ? vertex : NaN, at: Math.exp(middle + width * vertex),
    least: (scaled[0] * vertex + scaled[1]) * vertex + scaled[2], curvature: scaled[0] / width ** 2, fitted,
    kept: v.map((value) => { const row = [value ** 2, value, 1]; return 1 - dot(row, solve(gram, row)); }),
    error: width * sizeOf([2 * vertex, 1, 0].map((value) => -value / (2 * scaled[0]))), // of ln at the vertex, for losses off by 1
    bendError: sizeOf([2, 0, 0]) / 2 / width ** 2,
    line: (x) => { const w = (Math.log(x) - middle) / width; return (scaled[0] * w + scaled[1]) * w + scaled[2]; },
  };
}

/** Why a parabola has no optimum among its points, for losses off by noise; empty where it has. */
function trouble(curve, noise) {
  const { letter, vertex, curvature, at, bendError } = curve;
  if (Number.isNaN(vertex)) return `refused, opens downward: curvature ${short(curvature)} in ln ${letter}; the losses are no valley`;
  if (Math.abs(vertex) > 1 + EPS) {
    const side = vertex > 0 === (letter === "N") ? "larger" : "smaller";
    return `refused, minimum at the edge: vertex at ${letter} = ${short(at)} is beyond the last size; train ${side} models`;
  }
  if (curvature < CURVED * noise * bendError) {
    const error = short(noise * bendError, 2);
    return `refused, no curvature beyond the noise: curvature ${short(curvature, 2)} in ln ${letter} with a standard error of ${error}; train sizes farther apart, or more seeds`;
  }
  return "";
}

/** The parabolas of a budget's runs in ln N and ln D, or what is missing for them. */
function curvesOf(points, rows) {
  const order = [...rows].sort((i, j) => points.N[i] - points.N[j] || points.L[i] - points.L[j]);
  const [N, D, L] = ["N", "D", "L"].map((letter) => order.map((row) => points[letter][row]));
  const C = Math.exp(mean(rows.map((row) => Math.log(points.C[row])))), few = [["sizes", N], ["token counts", D]].find(([, values]) => distinct(values).length <= 2);
  if (few) return { C, N, L, refused: `refused, too few sizes: ${distinct(few[1]).length} ${few[0]}, a polynomial of degree 2 needs 3` };
  return { C, N, D, L, ofN: parabola("N", N, L), ofD: parabola("D", D, L) };
}

/** The optimum of each budget, and N = N_scale C^a, D = D_scale C^b through them; null where C has no gaps. */
function isoflops(points) {
  const groups = budgetsOf(points.C);
  if (!groups || groups.every((rows) => distinct(rows.map((row) => points.N[row])).length < 3)) return null;
  const budgets = groups.map((rows) => curvesOf(points, rows)), curves = budgets.filter(({ ofN }) => ofN).map(({ ofN }) => ofN);
  const freedom = curves.reduce((sum, { L }) => sum + L.length - 3, 0);
  const squares = curves.reduce((sum, { L, fitted }) => sum + L.reduce((own, loss, i) => own + ((loss - fitted[i]) / mean(L)) ** 2, 0), 0);
  const noise = freedom ? Math.sqrt(squares / freedom) : NaN;
  const found = weighted(budgets.map((budget) => optimumOf(budget, noise))), kept = found.filter(({ refused }) => !refused);
  if (kept.length < 2) return { budgets: found, noise, law: null };
  const logs = kept.map(({ C }) => Math.log(C)), w = kept.map(({ weight }) => weight);
  const [[logN, a], [logD, b]] = ["N_opt", "D_opt"].map((name) => lineThrough(logs, kept.map((budget) => Math.log(budget[name])), w));
  return { budgets: found, noise, law: { a, b, N_scale: Math.exp(logN), D_scale: Math.exp(logD) } };
}

/** A budget with its optimum and errors, or with why it has none. */
function optimumOf(budget, noise) {
  if (budget.refused) return { ...budget, weight: 1 };
  const { ofN, ofD, L } = budget, size = noise * mean(L), why = trouble(ofN, size) || trouble(ofD, size);
  if (why) return { ...budget, refused: why, weight: 1 };
  const inner = distinct(ofN.v).slice(1, -1), nearEdge = !(inner[0] - EPS <= ofN.vertex && ofN.vertex <= inner.at(-1) + EPS);
  const hardly = ofN.curvature < WELL_CURVED * size * ofN.bendError;
  return {
    ...budget, N_opt: ofN.at, D_opt: ofD.at, L_opt: ofN.least, N_error: size * ofN.error, weight: (ofN.error * mean(L)) ** -2,
    status: nearEdge ? "near the edge" : hardly ? "hardly curved" : "ok",
  };
}

/** Optima with two sizes and more on either side count alike; others by the inverse square of their error. */
function weighted(budgets) {
  const kept = budgets.filter(({ refused }) => !refused), certain = kept.filter(({ status }) => status === "ok").map(({ weight }) => weight);
  const full = certain.length ? Math.min(...certain) : Math.max(...kept.map(({ weight }) => weight), 0) || 1;
  return budgets.map((budget) => ({ ...budget, weight: budget.refused || budget.status === "ok" ? 1 : Math.min(1, budget.weight / full) }));
}

/** Intercept and slope of the weighted least-squares line. */
function lineThrough(x, y, weights) {
  const total = weights.reduce((sum, w) => sum + w, 0), w = weights.map((value) => value / total), middle = dot(w, x);
  const u = x.map((value) => value - middle), slope = dot(w.map((value, i) => value * u[i]), y) / dot(w, u.map((value) => value ** 2));
  return [dot(w, y) - slope * middle, slope];
}
