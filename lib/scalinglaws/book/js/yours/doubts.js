// Is the law wrong, and what can these points not tell? laws/lackoffit.py and laws/doubts.py of the library.

const ALPHA = 0.01, LARGE = 200, LEAST = 2e-3, LEAST_FREEDOM = 4, SAME = 1e-6, ROUND_OFF = 1e-9;

/** An F test of residuals against noise, by replicates or by terms up to cubic; null where points are too few. */
function lackOfFit(problem, u, delta) {
  const own = once(problem), r = residuals(own, u), { law, n } = own;
  if (Math.sqrt(mean(r.map((value) => value ** 2))) < ROUND_OFF * Math.max(...own.L)) return null;
  const J = jacobian(own, u), Q = basis(J.filter((_, j) => u[j] > law.low[j] && u[j] < law.high[j]));
  const cut = r.map((value) => clip(value, -delta, delta));
  const unit = Math.max(cut.filter((value, i) => value === r[i]).length, 1) / n; // by how much cutting shrinks a common shift
  let done = [pureError(own, beside(Q, r), Q.length), terms(own, beside(Q, cut), Q, unit)].filter(Boolean);
  if (done.length === 2) done = done.map((test) => ({ ...test, misfit: test.misfit && test.p < ALPHA / 2 })); // two chances to be wrong
  return done.find((test) => test.misfit) ?? done[0] ?? null;
}

/** The problem without copies of a point. */
function once(problem) {
  const { N, D, L } = problem.points, seen = new Set();
  const keep = range(problem.n).filter((i) => { const key = `${N[i]} ${D[i]} ${L[i]}`; return !seen.has(key) && seen.add(key); });
  if (keep.length === problem.n) return problem;
  const of = (values) => Float64Array.from(keep, (i) => values[i]);
  return { ...problem, n: keep.length, L: of(problem.L), x: of(problem.x), y: of(problem.y), logL: of(problem.logL), points: { N: of(N), D: of(D), L: of(L) } };
}

/** The number of the cell of each point: points of one cell have equal N and D. */
function cells({ N, D }) {
  const known = new Map();
  return Array.from(N, (value, i) => { const key = `${value} ${D[i]}`; if (!known.has(key)) known.set(key, known.size); return known.get(key); });
}

/** Means of cells against the scatter in them; null without replicates. */
function pureError({ points, n }, e, fitted) {
  const cell = cells(points), count = Math.max(...cell) + 1, df = [count - fitted, n - count];
  if (df[0] < 1 || df[1] < LEAST_FREEDOM) return null;
  const sums = new Float64Array(count), sizes = new Float64Array(count);
  e.forEach((value, i) => { sums[cell[i]] += value; sizes[cell[i]] += 1; });
  const between = sums.reduce((sum, value, c) => sum + value ** 2 / sizes[c], 0);
  return testOf("pure error", between, dot(e, e) - between, df, n, 1);
}

/** What terms in the logarithms explain beyond the law; null where there are too few points. */
function terms({ x, y, n }, e, Q, unit) {
  const logs = [x, y].map((own) => {
    const at = mean(own), size = Math.sqrt(mean(own.map((value) => (value - at) ** 2)));
    return own.map((value) => (value - at) / size);
  });
  for (const degree of [3, 2]) {
    const powers = [];
    for (let d = 0; d <= degree; d++) for (let j = 0; j <= d; j++) powers.push([d - j, j]);
    const columns = powers.map(([i, j]) => normed(logs[0].map((value, k) => value ** i * logs[1][k] ** j)));
    const { U, sizes } = singular(columns.map((column) => beside(Q, beside(Q, column))));
    const kept = Math.max(Math.min(powers.length - Q.length, sizes.filter((size) => size > SAME).length), 0);
    const df = [kept, n - Q.length - kept];
    if (kept && df[1] >= LEAST_FREEDOM) {
      const explained = U.slice(0, kept).reduce((sum, column) => sum + dot(column, e) ** 2, 0);
      return testOf("terms", explained, dot(e, e) - explained, df, n, unit);
    }
  }
  return null;
}

function normed(column) {
  const size = Math.sqrt(dot(column, column));
  return column.map((value) => value / size);
}

/** The F test of two sums of squares. */
function testOf(kind, found, left, df, n, unit) {
  const noise = Math.max(left, 0) / df[1], F = noise > 0 ? found / df[0] / noise : Infinity, p = Number.isFinite(F) ? aboveF(F, df) : 0;
  const beyond = Math.sqrt(Math.max(found - df[0] * noise, 0) / n) / unit;
  return { kind, F, df, p, rms_beyond_noise: beyond, misfit: p < ALPHA && (n <= LARGE || beyond > LEAST) };
}

/** The test in words. */
function lackWords({ kind, F, df, p, rms_beyond_noise }) {
  const size = rms_beyond_noise ? `, rms ${short(100 * rms_beyond_noise, 2)}% beyond noise` : "";
  return `${kind} F(${df.join(", ")}) = ${short(F)}, ${p < 1e-15 ? "p < 1e-15" : `p = ${short(p, 2)}`}${size}`;
}

/** What to distrust in a fit, in sentences. */
function doubts(found) {
  const { N, D, L } = found.problem.points, out = [], span = (values) => Math.max(...values) / Math.min(...values);
  if (!USABLE.includes(found.status)) out.push("the parameters below are not determined; do not use them");
  out.push(...found.atBound.map((name) => `${name} is at its bound: these points say nothing about it beyond that`));
  for (const [one, other, r] of found.correlations) {
    if (Math.abs(r) > 0.99) out.push(`${one} and ${other} move together (correlation ${r.toFixed(4)}): quote predictions, not ${one} alone`);
  }
  for (const [name, values] of [["N", N], ["D", D]]) {
    if (span(values) < 10) out.push(`${name} spans a factor of ${short(span(values), 3)}: too narrow to show a power law, widen it`);
  }
  const above = Math.min(...L) / found.theta[0] - 1;
  if (found.theta[0] > 0 && above > 0.1) out.push(`the lowest loss is ${short(100 * above, 3)}% above the floor E, which is an extrapolation`);
  if (span(N.map((value, i) => value * D[i])) < 1.05) out.push("all runs have one budget: how the optimum moves with compute rests on the form of the law alone");
  const r = residuals(found.problem, found.u), middle = median(r), sigma = MAD_TO_SIGMA * median(r.map((value) => Math.abs(value - middle)));
  const far = sigma > 1e-9 ? r.filter((value) => Math.abs(value) > 6 * sigma).length : 0;
  if (far) out.push(`${far} points lie more than six robust standard deviations off the law: look at them`);
  return out;
}
