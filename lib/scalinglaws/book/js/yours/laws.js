// The two laws, their derivatives and where a search for their best parameters starts: laws/law.py and laws/forms.py of the library.
// u are the coordinates that are fitted: floor and exponents as they are, scales (A, B, k) as logarithms.
// x and y are the logarithms of N and D, in the units of their geometric means.

const SCALE = [Math.log(1e-12), Math.log(1e12)], EXPONENT = [0, 5];
const BOUND_WORDS = {
  floor: ["these points show no floor", "all of the loss is floor"],
  scale: ["its term has vanished", "larger than these points can tell"],
  exponent: ["the loss does not fall", "a step, not a power law"],
};

/** What both laws share; `own` has name, words, bounds, and the loss at a point with its derivatives. */
function lawOf(own) {
  const kinds = ["floor", "scale", "scale", "exponent", "exponent", "scale"].slice(0, own.parameters.length);
  const bounds = [[0, Infinity], SCALE, SCALE, EXPONENT, EXPONENT, [Math.log(0.05), Math.log(4)]].slice(0, kinds.length);
  const mapped = (u, f) => Float64Array.from(u, (value, j) => (kinds[j] === "scale" ? f(value) : value));
  return {
    ...own, kinds, low: bounds.map(([low]) => low), high: bounds.map(([, high]) => high),
    theta: (u) => mapped(u, Math.exp),
    coordinates: (theta) => mapped(theta, Math.log),
    rescale: (u, units) => rescale(u, units),
    boundWords: (j, lowest) => (own.boundWords?.(j, lowest) ?? BOUND_WORDS[kinds[j]][lowest ? 0 : 1]),
    /** The compute-optimal N and D of C = 6 N D, and the loss there. */
    optimum(theta, C) {
      const { A, alpha, B, beta } = own.balance(theta), logND = Math.log(C / 6);
      const logN = (Math.log(alpha / beta) + A - B + beta * logND) / (alpha + beta);
      const N = Math.exp(logN), D = Math.exp(logND - logN);
      return { N, D, loss: own.value(theta, N, D) };
    },
    /** a and b of N ∝ C^a and D ∝ C^b. */
    exponents(theta) {
      const { alpha, beta } = own.balance(theta);
      return [beta / (alpha + beta), alpha / (alpha + beta)];
    },
  };
}

/** The coordinates of the same law once N, D and L are counted in other units. */
function rescale(u, { N, D, L }) {
  const out = Float64Array.from(u);
  out[0] /= L;
  out[1] -= u[3] * Math.log(N) + Math.log(L);
  out[2] -= u[4] * Math.log(D) + Math.log(L);
  return out;
}

const additive = lawOf({
  name: "chinchilla", source: "Hoffmann et al. 2022, eq. 2", parameters: ["E", "A", "B", "alpha", "beta"],
  formula: "L = E + A/N^α + B/D^β",
  /** The loss at a point; its derivatives go to g [p], the second ones to the lower triangle of H [p p]. */
  point(u, x, y, g, H) {
    const a = Math.exp(u[1] - u[3] * x), b = Math.exp(u[2] - u[4] * y);
    g[0] = 1; g[1] = a; g[2] = b; g[3] = -x * a; g[4] = -y * b;
    H[6] = a; H[12] = b; H[16] = -x * a; H[18] = x * x * a; H[22] = -y * b; H[24] = y * y * b;
    return u[0] + a + b;
  },
  value: ([E, A, B, alpha, beta], N, D) => E + A * N ** -alpha + B * D ** -beta,
  balance: ([, A, B, alpha, beta]) => ({ A: Math.log(A), alpha, B: Math.log(B), beta }),
  starts: additiveStarts,
});

const coupledLaw = lawOf({
  name: "coupled", source: "Kaplan et al. 2020, eq. 1.5, with a floor and a k of its own",
  parameters: ["E", "A", "B", "alpha", "beta", "k"], formula: "L = E + [(A/N^α)^(1/k) + (B/D^β)^(1/k)]^k",
  boundWords: (j, lowest) => (j === 5 ? (lowest ? "only the larger of the two terms counts" : "both terms matter only together") : undefined),
  point(u, x, y, g, H) {
    const k = Math.exp(u[5]), size = u[1] - u[3] * x, data = u[2] - u[4] * y, z = (size - data) / k, far = Math.abs(z);
    const less = Math.exp(-far), small = less / (1 + less), large = 1 / (1 + less), rest = Math.log1p(less);
    const ofSize = z > 0 ? large : small, ofData = z > 0 ? small : large;
    const value = Math.exp(Math.max(size, data) + k * rest), both = (value * ofSize * ofData) / k;
    const own = [0, ofSize, ofData, -x * ofSize, -y * ofData, k * (rest + far * small)]; // of the logarithm of the bracket
    const c = [0, 1, -1, -x, y, -k * z]; // its second derivatives are products of this row, times w_A w_B / k
    g[0] = 1;
    for (let i = 1; i < 6; i++) {
      g[i] = value * own[i];
      for (let j = 1; j <= i; j++) H[6 * i + j] = g[i] * own[j] + both * c[i] * c[j];
    }
    H[35] += g[5];
    return u[0] + value;
  },
  value([E, A, B, alpha, beta, k], N, D) {
    const size = Math.log(A) - alpha * Math.log(N), data = Math.log(B) - beta * Math.log(D);
    return E + Math.exp(Math.max(size, data) + k * Math.log1p(Math.exp(-Math.abs(size - data) / k)));
  },
  balance: ([, A, B, alpha, beta, k]) => ({ A: Math.log(A) / k, alpha: alpha / k, B: Math.log(B) / k, beta: beta / k }),
  starts: coupledStarts,
});

const LAWS = { chinchilla: additive, coupled: coupledLaw };

/** Scales that are not negative and fit a few columns best to ones, of their products; and the squares they explain. */
function nonnegative(gram, target) {
  const n = target.length, subsets = range(2 ** n - 1).map((bits) => range(n).filter((k) => ((bits + 1) >> k) & 1));
  let best = { scales: new Array(n).fill(0), explained: -Infinity };
  for (const keep of subsets.sort((a, b) => b.length - a.length)) {
    const some = keep.map((i) => keep.map((j) => gram[i][j] * (i === j ? 1 + 1e-12 : 1)));
    const c = solve(some, keep.map((i) => target[i])), explained = keep.reduce((sum, i, at) => sum + c[at] * target[i], 0);
    if (!(c.every((value) => value > 0) && explained > best.explained)) continue;
    best = { scales: range(n).map((k) => (keep.includes(k) ? c[keep.indexOf(k)] : 0)), explained };
  }
  return best;
}

/** The best candidate {misfit, region, u} of each region, best first. */
function bestOfEach(candidates) {
  const rank = ({ misfit }) => (Number.isFinite(misfit) ? misfit : Infinity);
  const order = [...candidates].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
  const seen = new Set();
  return order.filter(({ region }) => !seen.has(region) && seen.add(region)).map(({ u }) => u);
}

/** Both exponents on a grid; the best floor and scales follow, since the law is linear in them. */
function additiveStarts({ x, y, L }) {
  const grid = factors(0.03, 3, 24), ones = L.map((value) => 1 / value);
  const columns = [x, y].map((logs) => grid.map((alpha) => ones.map((one, i) => one * Math.exp(-alpha * logs[i]))));
  const sums = columns.map((own) => own.map((column) => column.reduce((sum, value) => sum + value, 0)));
  const withOnes = columns.map((own) => own.map((column) => dot(column, ones)));
  const squares = columns.map((own) => own.map((column) => dot(column, column)));
  const target = ones.reduce((sum, value) => sum + value, 0), square = dot(ones, ones);
  const candidates = [];
  for (let i = 0; i < grid.length; i++) {
    for (let j = 0; j < grid.length; j++) {
      const [p, q, both] = [withOnes[0][i], withOnes[1][j], dot(columns[0][i], columns[1][j])];
      const gram = [[square, p, q], [p, squares[0][i], both], [q, both, squares[1][j]]];
      const { scales: [E, A, B], explained } = nonnegative(gram, [target, sums[0][i], sums[1][j]]);
      const region = 2 * Math.floor(i / 12) + Math.floor(j / 12), small = (value) => Math.log(Math.max(value, 1e-3));
      candidates.push({ misfit: -explained, region, u: Float64Array.of(E, small(A), small(B), grid[i], grid[j]) });
    }
  }
  return bestOfEach(candidates);
}

/** Floor, k and exponents on a grid: what is above the floor, to the power 1/k, is linear in both scales to that power. */
function coupledStarts(problem) {
  const grid = factors(0.04, 1.5, 7), least = Math.min(...problem.L), candidates = [];
  [0, 0.5, 0.8, 0.95].forEach((share, floor) => [1, 0.5, 0.2].forEach((k, of) => {
    const target = problem.L.map((value) => (value - share * least) ** (1 / k));
    for (const alpha of grid) {
      for (const beta of grid) {
        const { u, misfit } = coupledStart(problem, { E: share * least, k, alpha, beta, target });
        candidates.push({ u, misfit, region: 2 * of + Number(floor >= 2) });
      }
    }
  }));
  return bestOfEach(candidates);
}

/** The start of one floor, k, alpha and beta, and how far off it is. */
function coupledStart({ x, y, L }, { E, k, alpha, beta, target }) {
  let aa = 0, bb = 0, ab = 0, a1 = 0, b1 = 0;
  for (let i = 0; i < x.length; i++) {
    const a = Math.exp((-alpha / k) * x[i]) / target[i], b = Math.exp((-beta / k) * y[i]) / target[i];
    aa += a * a; bb += b * b; ab += a * b; a1 += a; b1 += b;
  }
  const scales = nonnegative([[aa, ab], [ab, bb]], [a1, b1]).scales.map((value) => k * Math.log(Math.max(value, 1e-9)));
  const u = Float64Array.of(E, ...scales, alpha, beta, Math.log(k)).map((value, j) => clip(value, coupledLaw.low[j], coupledLaw.high[j]));
  const g = new Float64Array(6), H = new Float64Array(36);
  const misfit = L.reduce((sum, loss, i) => sum + Math.log(loss / coupledLaw.point(u, x[i], y[i], g, H)) ** 2, 0);
  return { u, misfit };
}

const clip = (value, low, high) => Math.min(Math.max(value, low), high);
