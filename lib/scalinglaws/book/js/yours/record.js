// The file of a fit: what `scalinglaws fit --json` prints, as `scalinglaws plan` and `scalinglaws predict` read it.

const SCHEMA = 2;

/** The record of a fit; cloud and ends are null where there are no intervals. */
function record(found, { points, notes, warnings, unit }, cloud, ends) {
  const { law, theta, status, message, delta, value, problem, atBound, lack } = found;
  const named = (values) => Object.fromEntries(law.parameters.map((name, j) => [name, values[j]])), [a, b] = law.exponents(theta);
  const C = Array.from(points.C);
  const full = cloud && cloud.atBound + (cloud.n - cloud.settled) ? `${message}; ${cloudMessage(cloud)}` : message;
  const own = {
    law: law.name, theta: named(theta), status, message: full, residual: "log", delta: finite(delta), value, start: named(found.start), n_starts: found.nStarts,
    n_starts_agree: found.nAgree, n_points: problem.n, at_bound: atBound, gradient_norm: found.gradientNorm, newton_decrement: found.decrement,
    condition: found.condition, correlations: found.correlations, residual_rms: found.rms, lack_of_fit: lack && { ...lack, F: finite(lack.F) },
    intervals: null, level: null,
  };
  const made = { ...own, message, schema: SCHEMA, x: { N: [...problem.points.N], D: [...problem.points.D] }, L: [...problem.points.L] };
  return {
    law: law.name, theta: own.theta, objective: value, minimized: objective(delta), delta: own.delta, status, message: full, at_bound: atBound,
    lack_of_fit: own.lack_of_fit, backtest: null, choice: null, counting: { "C/ND": perParamToken(points) },
    refits: cloud && { fit: made, n: cloud.n, seed: cloud.seed, clusters: null },
    schema: SCHEMA, approach: "3", a, b, intervals: ends, level: ends ? LEVEL : null, n_points: problem.n,
    C_range: [Math.min(...C), Math.max(...C)], warnings, unit, read: notes,
  };
}

const finite = (value) => (Number.isFinite(value) ? value : null);
const objective = (delta) => (Number.isFinite(delta) ? `sum of Huber(ln L - ln f), delta ${short(delta, 6)}` : "half the sum of squares of ln L - ln f");

/** Refits that ended at a bound or did not settle, in words. */
function cloudMessage({ atBound, settled, n }) {
  const parts = atBound ? [`${atBound} of ${n} refits ended at a bound`] : [];
  if (settled < n) parts.push(`${n - settled} of ${n} refits did not settle`);
  return parts.join("; ");
}

/** The median of C/(N D), and its drift with C. */
function perParamToken({ C, N, D }) {
  const ratio = Array.from(C, (value, i) => value / (N[i] * D[i])), logs = Array.from(C, Math.log), middle = mean(logs);
  const u = logs.map((value) => value - middle), of = ratio.map(Math.log), at = mean(of);
  return { median: median(ratio), drift: Math.max(...C) > Math.min(...C) ? dot(u, of.map((value) => value - at)) / dot(u, u) : 0 };
}
