// The best fit of a law, certified: laws/newton.py and laws/fit.py of the library, for residuals of ln L.

const HUBER_SIGMAS = 1.345, MAD_TO_SIGMA = 1.4826, LEAST_SIGMA = 1e-9, WIDE_DELTAS = [3e-2, 5e-3];
const MAX_CONDITION = 1e8, MAX_STEPS = 200, CERTIFIED = 1e3, MIN_OFF_LINE = 0.01;
const USABLE = ["ok", "misfit", "at_bound"];

/** Points {N, D, L}, each counted in its geometric mean. */
function problemOf(law, { N, D, L }) {
  const middle = (values) => Math.exp(mean(Array.from(values, Math.log)));
  const units = { N: middle(N), D: middle(D), L: middle(L) }, of = (values, unit) => Float64Array.from(values, (value) => value / unit);
  const centered = of(L, units.L);
  return {
    law, units, points: { N: Float64Array.from(N), D: Float64Array.from(D), L: Float64Array.from(L) }, L: centered,
    x: of(N, units.N).map(Math.log), y: of(D, units.D).map(Math.log), logL: centered.map(Math.log), n: L.length,
  };
}

const decentered = ({ law, units: { N, D, L } }, u) => law.rescale(u, { N: 1 / N, D: 1 / D, L: 1 / L });
const thetaOf = (problem, u) => problem.law.theta(decentered(problem, u));
const centeredOf = ({ law, units }, theta) => law.rescale(law.coordinates(theta), units);

/** Residuals [n] of ln L at coordinates u. */
function residuals({ law, x, y, logL }, u) {
  const g = new Float64Array(u.length), H = new Float64Array(u.length ** 2);
  return logL.map((loss, i) => loss - Math.log(law.point(u, x[i], y[i], g, H)));
}

/** Derivatives of ln f at the points, a column [n] for each coordinate. */
function jacobian({ law, x, y, n }, u) {
  const p = u.length, g = new Float64Array(p), H = new Float64Array(p * p), columns = range(p).map(() => new Float64Array(n));
  for (let i = 0; i < n; i++) {
    const f = law.point(u, x[i], y[i], g, H);
    for (let j = 0; j < p; j++) columns[j][i] = g[j] / f;
  }
  return columns;
}

/** The sum over points of Huber's function, its gradient [p] and Hessian [p][p]; points count w, losses may be others. */
function evaluate({ law, x, y, logL, n }, u, delta, w, losses = logL) {
  const p = u.length, g = new Float64Array(p), H = new Float64Array(p * p), gradient = new Float64Array(p), flat = new Float64Array(p * p);
  let value = 0;
  for (let i = 0; i < n; i++) {
    const weight = w ? w[i] : 1;
    if (weight === 0) continue;
    const f = law.point(u, x[i], y[i], g, H), r = losses[i] - Math.log(f), psi = r > delta ? delta : r < -delta ? -delta : r;
    const d = (-weight * psi) / f, h = ((psi === r ? weight : 0) + weight * psi) / (f * f);
    value += weight * psi * (r - psi / 2);
    for (let j = 0; j < p; j++) {
      gradient[j] += d * g[j];
      const own = h * g[j];
      for (let k = 0; k <= j; k++) flat[j * p + k] += own * g[k] + d * H[j * p + k];
    }
  }
  return { value, gradient, hessian: range(p).map((j) => range(p).map((k) => flat[j >= k ? j * p + k : k * p + j])) };
}

/** The optimum from a start, by Newton's method with the exact Hessian; damped, inside of the bounds (newton.py). */
function newton(problem, start, delta, { w = null, losses } = {}) {
  const { low, high } = problem.law, total = w ? w.reduce((sum, value) => sum + value, 0) : problem.n;
  const inside = (u) => u.map((value, j) => clip(value, low[j], high[j]));
  let trial = inside(Float64Array.from(start)), u = trial, value = Infinity, damping = 0, settled = false;
  let now = { gradient: new Float64Array(u.length), hessian: range(u.length).map(() => new Array(u.length).fill(0)) };
  for (let left = MAX_STEPS; left > 0 && !settled; left--) {
    const next = evaluate(problem, trial, delta, w, losses);
    const accepted = next.value <= value + 1e-15 * Math.sqrt(2 * next.value * total) && allFinite(next);
    if (accepted) [u, value, now] = [trial, next.value, next];
    let step = plainStep(now.gradient, now.hessian);
    if (!(accepted && step.convex && damping === 0 && u.every((each, j) => each > low[j] && each < high[j]))) {
      const model = quadratic(u, now.gradient, now.hessian, low, high), flattest = Math.min(...model.curvature);
      damping = accepted ? damping / 3 : Math.max(10 * damping, flattest);
      damping = damping < flattest / 2 ? 0 : damping;
      step = { ...model, step: model.step(damping) };
    }
    trial = inside(u.map((each, j) => each + step.step[j]));
    settled = step.convex && step.decrement <= decrementGoal(value, total);
  }
  return { u, value, settled };
}

const allFinite = ({ value, gradient, hessian }) => [value, ...gradient, ...hessian.flat()].every(Number.isFinite);
const decrementGoal = (value, total) => 1e-12 * Math.sqrt((2 * value) / total) + 1e-14 * Math.max(1, Math.sqrt(total / 1e4));

/** The Newton step by elimination, its decrement, and whether the Hessian is positive definite. */
function plainStep(gradient, hessian) {
  const p = gradient.length, rows = hessian.map((row, i) => Float64Array.of(...row, gradient[i])), scale = hessian.map((row, i) => row[i]);
  for (let j = 0; j < p - 1; j++) {
    for (let i = j + 1; i < p; i++) {
      const share = rows[i][j] / rows[j][j];
      for (let k = j; k <= p; k++) rows[i][k] -= share * rows[j][k];
    }
  }
  const step = rows.map((row, i) => -row[p] / row[i]);
  const decrement = Math.sqrt(-rows.reduce((sum, row, i) => sum + row[p] * step[i], 0));
  for (let j = p - 1; j > 0; j--) for (let i = 0; i < j; i++) step[i] -= (rows[i][j] / rows[i][i]) * step[j];
  return { step, decrement, convex: rows.every((row, i) => row[i] > 1e-10 * scale[i]) && Number.isFinite(decrement) };
}

/** The objective as a parabola in the axes of its Hessian; a coordinate at its bound that would go beyond is held. */
function quadratic(u, gradient, hessian, low, high) {
  const p = u.length, held = range(p).map((j) => (u[j] <= low[j] && gradient[j] > 0) || (u[j] >= high[j] && gradient[j] < 0));
  const largest = Math.max(...hessian.map((row, j) => Math.abs(row[j])));
  const free = hessian.map((row, i) => row.map((value, j) => (held[i] || held[j] ? (i === j ? largest : 0) : value)));
  const { values, vectors } = eigen(free);
  const curvature = values.map((value) => Math.max(Math.abs(value), 1e-15 * largest + 1e-300));
  const slope = vectors.map((axis) => axis.reduce((sum, value, j) => sum + (held[j] ? 0 : value * gradient[j]), 0));
  return {
    curvature, convex: Math.min(...values) > 0, decrement: Math.sqrt(slope.reduce((sum, value, i) => sum + value ** 2 / curvature[i], 0)),
    step: (damping) => range(p).map((j) => -vectors.reduce((sum, axis, i) => sum + (axis[j] * slope[i]) / (curvature[i] + damping), 0)),
  };
}

/** The best fit of a law by its name to points {N, D, L}; delta null: by the noise. Throws where the points cannot be fitted. */
function fit(name, points, delta = null) {
  const law = LAWS[name];
  checkPoints(law, points);
  const problem = problemOf(law, points), starts = law.starts(problem);
  const from = (all, threshold) => all.map((start) => newton(problem, start, threshold));
  const best = (found) => found.reduce((low, other) => (other.value < low.value ? other : low));
  let found = starts.map((u) => ({ u })), threshold = delta ?? WIDE_DELTAS[0];
  if (delta === null) {
    for (let twice = 0; twice < 2; twice++) { // the first fit gives the scale of the noise, the second a better one
      found = from(found.map(({ u }) => u), threshold);
      threshold = noiseThreshold(residuals(problem, best(found).u));
    }
  } else for (const wide of WIDE_DELTAS) if (wide > threshold) found = from(found.map(({ u }) => u), wide);
  return examined(problem, starts, from(found.map(({ u }) => u), threshold), threshold);
}

/** Huber's threshold by the spread of residuals, which outliers do not move. */
function noiseThreshold(r) {
  const middle = median(r), deviation = median(r.map((value) => Math.abs(value - middle)));
  return HUBER_SIGMAS * Math.max(MAD_TO_SIGMA * deviation, LEAST_SIGMA);
}

/** The best of the optima with its certificate: status, message, bounds, condition, lack of fit. */
function examined(problem, starts, found, delta) {
  const { law, n } = problem, least = Math.min(...found.map(({ value }) => value));
  const agree = found.map(({ value }) => value <= least * (1 + 1e-9) + 1e-28 * n), first = agree.indexOf(true), { u } = found[first];
  const { value, gradient, hessian } = evaluate(problem, u, delta), model = quadratic(u, gradient, hessian, law.low, law.high);
  const inside = range(u.length).filter((j) => u[j] > law.low[j] + 1e-9 && u[j] < law.high[j] - 1e-9);
  const J = jacobian(problem, u), { sizes } = singular(inside.map((j) => J[j]));
  const condition = Math.min(sizes[0] / Math.max(sizes.at(-1), 1e-300), 2 ** 52), theta = thetaOf(problem, u), r = residuals(problem, u);
  const atBound = range(u.length).filter((j) => !inside.includes(j));
  const bounds = atBound.map((j) => `${law.parameters[j]} at ${short(theta[j])}: ${law.boundWords(j, u[j] <= law.low[j] + 1e-9)}`);
  let [status, message] = verdict({ condition, theta, model, bounds, law, goal: CERTIFIED * decrementGoal(value, n) });
  const lack = USABLE.includes(status) ? lackOfFit(problem, u, delta) : null;
  const misfit = lack?.misfit ? `the law does not fit, ${lackWords(lack)}: intervals are for noise alone, and forecasts will miss by more` : "";
  if (misfit) [status, message] = status === "at_bound" ? [status, `${message}; ${misfit}`] : ["misfit", `${misfit}; the optimum is certified`];
  return {
    problem, law, u, theta, status, message, misfit, delta, value, condition, lack, start: thetaOf(problem, starts[first]),
    nStarts: starts.length, nAgree: agree.filter(Boolean).length, atBound: atBound.map((j) => law.parameters[j]),
    gradientNorm: Math.max(...inside.map((j) => Math.abs(gradient[j]))), decrement: model.decrement,
    rms: Math.sqrt(mean(r.map((each) => each ** 2))), correlations: USABLE.includes(status) ? correlations(problem, hessian, inside) : [],
  };
}

/** How a fit ended, in a word and in a sentence. */
function verdict({ condition, theta, model, bounds, law, goal }) {
  const overflown = law.parameters.filter((_, j) => !Number.isFinite(theta[j]));
  if (condition > MAX_CONDITION) {
    const unusable = `condition ${short(condition)} is above ${short(MAX_CONDITION)}`;
    return ["ill_conditioned", ["the points do not determine the parameters", unusable, ...bounds].join("; ")];
  }
  if (overflown.length) return ["ill_conditioned", `${overflown.join(", ")} overflows: count the loss in a unit that brings it near 1`];
  if (!(model.convex && model.decrement <= goal)) {
    return ["not_certified", `no optimum found: the Newton decrement is still ${short(model.decrement)}`];
  }
  if (bounds.length) return ["at_bound", `certified, with ${bounds.join("; ")}`];
  return ["ok", "certified: the gradient vanishes and the curvature is positive, inside all bounds"];
}

/** Correlations of parameters inside their bounds, a scale by its logarithm, by the curvature; strongest first. */
function correlations(problem, hessian, inside) {
  const { N, D, L } = problem.units, p = hessian.length, lower = cholesky(inside.map((i) => inside.map((j) => hessian[i][j])));
  const moved = range(p).map((i) => range(p).map((j) => Number(i === j) * (i === 0 ? L : 1))); // of the points' coordinates, by the centered ones
  [moved[3][1], moved[4][2]] = [Math.log(N), Math.log(D)];
  const columns = inside.map((j) => forward(lower, inside.map((i) => moved[i][j]))).map((own) => own.map((value) => value / Math.sqrt(dot(own, own))));
  const names = inside.map((j) => problem.law.parameters[j]), pairs = [];
  for (let i = 0; i < names.length; i++) for (let j = i + 1; j < names.length; j++) pairs.push([names[i], names[j], dot(columns[i], columns[j])]);
  return pairs.sort((a, b) => Math.abs(b[2]) - Math.abs(a[2]));
}

/** The solution of a system with a lower triangular matrix. */
function forward(lower, right) {
  const out = [];
  right.forEach((value, i) => out.push((value - out.reduce((sum, each, k) => sum + lower[i][k] * each, 0)) / lower[i][i]));
  return out;
}

/** Refuse points that cannot determine the law, and say what to do. */
function checkPoints(law, { N, D, L }) {
  const p = law.parameters.length, n = L.length, places = new Set(Array.from(N, (value, i) => `${value} ${D[i]}`)).size;
  if (n <= p) throw new Error(`${n} points for the ${p} parameters of ${law.name}; it needs at least ${p + 1}`);
  for (const [name, values] of [["N", N], ["D", D]]) {
    const own = distinct(values);
    if (own.length < 3) throw new Error(`${name} takes ${own.length} value (${own.map((value) => short(value)).join(", ")}); ${law.name} needs 3: vary ${name}`);
  }
  if (places < p) throw new Error(`${places} distinct points for ${p} parameters of ${law.name}; repeats do not count, add sizes`);
  const logs = [N, D, L].map((values) => { const own = Array.from(values, Math.log), at = mean(own); return own.map((value) => value - at); });
  const [a, b, y] = logs, slope = dot(a, b) / dot(a, a), off = Math.sqrt(mean(b.map((value, i) => (value - slope * a[i]) ** 2)));
  if (slope > 0 && off < MIN_OFF_LINE) {
    const near = off > 1e-9 ? `to ${short(100 * off)}%` : "exactly";
    throw new Error(`D follows N (D ∝ N^${short(slope)}, ${near}), so that their terms cannot be told apart; vary D at fixed N`);
  }
  const [of, by] = solve([[dot(a, a), dot(a, b)], [dot(a, b), dot(b, b)]], [dot(a, y), dot(b, y)]);
  const left = y.map((value, i) => value - of * a[i] - by * b[i]);
  if (of > 0 && by > 0 && dot(left, left) < 0.5 * dot(y, y)) {
    throw new Error(`L rises, as N^${short(of, 3)}, D^${short(by, 3)}, and a law of a loss can only fall: is another column the loss?`);
  }
}

/** A number of few digits, as Python's %g has it. */
function short(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value);
  const [mantissa, power] = value.toExponential(digits - 1).split("e"), e = Number(power);
  if (e >= -4 && e < digits) return String(Number(value.toPrecision(digits)));
  return `${Number(mantissa)}e${e < 0 ? "-" : "+"}${String(Math.abs(e)).padStart(2, "0")}`;
}
