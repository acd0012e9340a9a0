// Intervals by refits of resampled points: laws/bootstrap.py and laws/intervals.py of the library, drawn by numpy's generator
// from the same seed, so that the intervals here are those of `scalinglaws fit --bootstrap`.

const FEW = 20, MANY = 40, LEAST_SPARE = 3, LEVEL = 0.95, NORMAL = 1.959963984540054;
const SLOPES = range(41).map((i) => -2.5 + i * 0.125), SLOPE = 0.5; // of ln size of noise, over half of the range of ln loss
const WORD = 2n ** 32n, LONG = 2n ** 64n, HUGE = 2n ** 128n;

/** The 32-bit words that numpy's SeedSequence makes of a seed. */
function seedWords(seed) {
  let constant = 0x43b0d7e5;
  const hashed = (value) => {
    const mixed = Math.imul(value ^ constant, (constant = Math.imul(constant, 0x931e8875)));
    return mixed ^ (mixed >>> 16);
  };
  const pool = range(4).map((i) => hashed(i ? 0 : seed));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from === to) continue;
      const mixed = Math.imul(0xca01f9dd, pool[to]) - Math.imul(0x4973f715, hashed(pool[from]));
      pool[to] = mixed ^ (mixed >>> 16);
    }
  }
  constant = 0x8b51f9dd;
  return range(8).map((i) => {
    const mixed = Math.imul(pool[i % 4] ^ constant, (constant = Math.imul(constant, 0x58f38ded)));
    return (mixed ^ (mixed >>> 16)) >>> 0;
  });
}

/** numpy's default generator of a seed: PCG64 (O'Neill 2014), whole numbers below a bound (Lemire 2019), and fractions. */
function generator(seed) {
  const words = seedWords(seed).map(BigInt), long = (i) => words[2 * i] + words[2 * i + 1] * WORD;
  const increment = ((((long(2) * LONG + long(3)) << 1n) | 1n)) % HUGE, multiplier = 0x2360ed051fc65da44385df649fccf645n;
  let state = 0n, spare = null;
  const advance = () => { state = (state * multiplier + increment) % HUGE; };
  advance();
  state += long(0) * LONG + long(1);
  advance();
  const next = () => {
    advance();
    const mixed = (state / LONG) ^ (state % LONG), turn = state >> 122n;
    return BigInt.asUintN(64, (mixed >> turn) | (mixed << ((64n - turn) % 64n)));
  };
  const half = () => { // the lower half of 64 bits first, then the upper
    if (spare !== null) { const kept = spare; spare = null; return kept; }
    const both = next();
    spare = Number(both / WORD);
    return Number(both % WORD);
  };
  const below = (m) => {
    const least = 2 ** 32 % m;
    for (;;) {
      const product = BigInt(half()) * BigInt(m), rest = Number(product % WORD);
      if (rest >= least) return Number(product / WORD);
    }
  };
  return { below, fraction: () => Number(next() >> 11n) / 2 ** 53 };
}

/** How the points of a fit are resampled; throws, with the reason, where no interval is known to hold. */
function resampling(found) {
  const { problem, law, atBound } = found, spare = problem.n - law.parameters.length, cell = cells(problem.points);
  if (!USABLE.includes(found.status)) throw new Error(found.message);
  if (atBound.length) throw new Error(`${atBound.join(", ")} at a bound: an interval would be too narrow; choose another law`);
  if (spare < LEAST_SPARE) {
    const least = law.parameters.length + LEAST_SPARE;
    throw new Error(`${problem.n} points for ${law.parameters.length} parameters: no interval was found to hold with fewer than ${least}; add runs`);
  }
  const count = Math.max(...cell) + 1, repeated = count < problem.n, sized = count < FEW;
  const label = repeated && !sized ? cell : range(problem.n), drawn = Math.max(...label) + 1;
  const left = sized ? spare : count - law.parameters.length;
  const widened = count >= MANY ? 1 : studentT(Math.max(left, 1), LEVEL) / NORMAL;
  return { how: sized ? "sized" : repeated ? "clusters" : "rows", label, drawn, widened };
}

/** Refits of n resamples: coordinates, parameters, whether each settled; `tell` is called with how many are done. */
function refits(found, n, seed, tell = () => {}) {
  const { problem, delta } = found, { how, label, drawn, widened } = resampling(found), random = generator(seed);
  const draws = range(n).map(() => Int32Array.from({ length: drawn }, () => random.below(drawn)));
  const made = how === "sized" ? madeLosses(found, draws, random) : null, start = centeredOf(problem, found.theta);
  const cloud = { how, widened, n, seed, drawn, theta: [], settled: 0, atBound: 0, here: thetaOf(problem, newton(problem, start, delta).u) };
  for (let b = 0; b < n; b++) {
    const counts = new Float64Array(drawn);
    if (!made) for (const c of draws[b]) counts[c] += 1;
    const again = newton(problem, start, delta, made ? { losses: made[b] } : { w: Float64Array.from(label, (c) => counts[c]) });
    cloud.theta.push(thetaOf(problem, again.u));
    cloud.settled += Number(again.settled);
    cloud.atBound += Number(again.u.some((value, j) => value <= problem.law.low[j] || value >= problem.law.high[j]));
    if (b % 20 === 19) tell(b + 1);
  }
  return cloud;
}

/** Logarithms of losses for each resample: predictions, and residuals drawn as shares of the noise of their points. */
function madeLosses({ problem, theta }, draws, random) {
  const at = centeredOf(problem, theta), r = residuals(problem, at), f = r.map((value, i) => problem.logL[i] - value);
  const { sizes, grown } = noiseSizes(problem, at, r, f, draws.length, random);
  return draws.map((drawn, b) => {
    const shares = r.map((value, i) => value / sizes[b][i]), middle = mean(shares);
    return f.map((value, i) => value + sizes[b][i] * (grown[b] * (shares[drawn[i]] - middle)));
  });
}

/** Sizes of the noise of each point for each resample, by a slope that the residuals leave likely, and what a fit took of residuals. */
function noiseSizes(problem, u, r, f, n, random) {
  const low = Math.min(...f), span = Math.max(...f) - low, { n: points } = problem;
  const sizes = SLOPES.map((slope) => f.map((value) => Math.exp(slope * ((2 * (value - low)) / span - 1))));
  const J = basis(jacobian(problem, u)), unit = range(points).map((i) => Float64Array.from(range(points), (k) => Number(i === k)));
  const beyond = basis([...J, ...unit]).slice(J.length, points), seen = beyond.map((column) => dot(column, r)); // what no parameter changes
  const each = sizes.map((size, g) => {
    const spread = beyond.map((one) => beyond.map((other) => other.reduce((sum, value, i) => sum + one[i] * size[i] ** 2 * value, 0)));
    const lower = cholesky(spread), inner = forward(lower, seen), logDet = 2 * lower.reduce((sum, row, i) => sum + Math.log(row[i]), 0);
    const left = (i) => { const own = beyond.map((column) => column[i]); return dot(own, spread.map((row) => dot(row, own))) / size[i] ** 2; };
    return { logP: -(logDet + seen.length * Math.log(dot(inner, inner)) + (SLOPES[g] / SLOPE) ** 2) / 2, kept: mean(range(points).map(left)) };
  });
  const most = Math.max(...each.map(({ logP }) => logP)), p = each.map(({ logP }) => Math.exp(logP - most)), sum = p.reduce((a, b) => a + b, 0);
  let so = 0;
  const upTo = p.map((value) => (so += value / sum)).map((value, _, all) => value / all.at(-1));
  const chosen = range(n).map(() => { const at = random.fraction(); return upTo.findIndex((value) => value > at); });
  return { sizes: chosen.map((g) => sizes[g]), grown: chosen.map((g) => 1 / Math.sqrt(each[g].kept)) };
}

/** The ends of the 95% interval of a number computed from theta; widened about the fit where points are few. */
function interval(found, cloud, of) {
  const values = cloud.theta.map(of), ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2].map((level) => quantile(values, level));
  if (cloud.widened === 1) return ends;
  const here = of(cloud.here);
  return ends.map((end) => here + cloud.widened * (end - here));
}

/** Intervals of all parameters, and of a and b; a parameter's end where the law ends. */
function intervals(found, cloud) {
  const { law } = found, within = (value, j) => (law.kinds[j] === "scale" ? Math.max(value, 0) : clip(value, law.low[j], law.high[j]));
  const own = law.parameters.map((name, j) => [name, interval(found, cloud, (theta) => theta[j]).map((end) => (cloud.widened === 1 ? end : within(end, j)))]);
  const ofCompute = ["a", "b"].map((name, k) => [name, interval(found, cloud, (theta) => law.exponents(theta)[k])]);
  return Object.fromEntries([...own, ...ofCompute]);
}

/** Intervals of the compute-optimal N and D, and of the loss there. */
function optimumIntervals(found, cloud, C) {
  const of = (name) => interval(found, cloud, (theta) => Math.log(found.law.optimum(theta, C)[name])).map(Math.exp);
  return { N: of("N"), D: of("D"), loss: of("loss") };
}
