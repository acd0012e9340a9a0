// Small matrices, quantiles, and the distributions of F and Student's t: what numpy and scipy are to the library.
// A matrix of few columns and many rows is an array of its columns.

const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const range = (n) => Array.from({ length: n }, (_, i) => i);
const distinct = (values) => [...new Set(values)].sort((a, b) => a - b);

/** n numbers from low to high at equal factors. */
const factors = (low, high, n) => range(n).map((i) => low * (high / low) ** (i / (n - 1)));

/** The middle of numbers; between two where there is no middle one. */
const median = (values) => quantile(values, 0.5);

/** A quantile, between two numbers on the line through them. */
function quantile(values, level) {
  const sorted = Float64Array.from(values).sort(); // of a typed array by size, with NaN last
  const at = level * (sorted.length - 1), below = Math.floor(at), t = at - below;
  const low = sorted[below], high = sorted[Math.min(below + 1, sorted.length - 1)];
  return t < 0.5 ? low + (high - low) * t : high - (high - low) * (1 - t);
}

/** The solution of a square system [p][p], by elimination with pivots. */
function solve(matrix, right) {
  const rows = matrix.map((row, i) => [...row, right[i]]), p = rows.length;
  for (let j = 0; j < p; j++) {
    let best = j;
    for (let i = j + 1; i < p; i++) if (Math.abs(rows[i][j]) > Math.abs(rows[best][j])) best = i;
    [rows[j], rows[best]] = [rows[best], rows[j]];
    for (let i = j + 1; i < p; i++) {
      const share = rows[i][j] / rows[j][j];
      for (let k = j; k <= p; k++) rows[i][k] -= share * rows[j][k];
    }
  }
  const out = new Array(p);
  for (let i = p - 1; i >= 0; i--) {
    let left = rows[i][p];
    for (let k = i + 1; k < p; k++) left -= rows[i][k] * out[k];
    out[i] = left / rows[i][i];
  }
  return out;
}

/** The lower factor [p][p] of a positive definite matrix. */
function cholesky(matrix) {
  const p = matrix.length, lower = range(p).map(() => new Array(p).fill(0));
  for (let i = 0; i < p; i++) {
    for (let j = 0; j <= i; j++) {
      let left = matrix[i][j];
      for (let k = 0; k < j; k++) left -= lower[i][k] * lower[j][k];
      lower[i][j] = i === j ? Math.sqrt(left) : left / lower[j][j];
    }
  }
  return lower;
}

/** An orthonormal basis of columns, twice over so that none is left to round-off; those with nothing of their own are left out. */
function basis(columns) {
  const out = [];
  for (const column of columns) {
    const own = Float64Array.from(column), size = Math.sqrt(dot(own, own));
    for (let twice = 0; twice < 2; twice++) for (const other of out) subtract(own, other, dot(other, own));
    const left = Math.sqrt(dot(own, own));
    if (left > 1e-13 * size) out.push(own.map((value) => value / left));
  }
  return out;
}

function subtract(from, column, times) {
  for (let i = 0; i < from.length; i++) from[i] -= times * column[i];
}

/** What a basis leaves of a column. */
function beside(Q, column) {
  const left = Float64Array.from(column);
  for (const q of Q) subtract(left, q, dot(q, column));
  return left;
}

/** Singular values, the largest first, and left singular vectors of columns, by rotations of pairs (Hestenes 1958). */
function singular(columns) {
  const U = columns.map((column) => Float64Array.from(column));
  for (let sweep = 0, moved = true; moved && sweep < 60; sweep++) {
    moved = false;
    for (let i = 0; i < U.length; i++) for (let j = i + 1; j < U.length; j++) moved = rotate(U[i], U[j]) || moved;
  }
  const sizes = U.map((column) => Math.sqrt(dot(column, column)));
  const order = range(U.length).sort((i, j) => sizes[j] - sizes[i]);
  return { sizes: order.map((i) => sizes[i]), U: order.map((i) => U[i].map((value) => value / sizes[i])) };
}

/** Two columns made orthogonal; whether they were not. */
function rotate(a, b) {
  const aa = dot(a, a), bb = dot(b, b), ab = dot(a, b);
  if (Math.abs(ab) <= 3e-15 * Math.sqrt(aa * bb)) return false;
  const zeta = (bb - aa) / (2 * ab), t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const cos = 1 / Math.hypot(1, t), sin = cos * t;
  for (let k = 0; k < a.length; k++) [a[k], b[k]] = [cos * a[k] - sin * b[k], sin * a[k] + cos * b[k]];
  return true;
}

/** Eigenvalues and eigenvectors of a symmetric matrix [p][p], by Jacobi's rotations. */
function eigen(matrix) {
  const A = matrix.map((row) => Float64Array.from(row)), p = A.length;
  const V = range(p).map((i) => Float64Array.from(range(p), (j) => Number(i === j))); // vectors in rows
  for (let sweep = 0, moved = true; moved && sweep < 60; sweep++) {
    moved = false;
    for (let i = 0; i < p; i++) for (let j = i + 1; j < p; j++) moved = turn(A, V, i, j) || moved;
  }
  return { values: A.map((row, i) => row[i]), vectors: V };
}

/** One entry off the diagonal made zero; whether it was not. */
function turn(A, V, i, j) {
  if (Math.abs(A[i][j]) <= 1e-17 * Math.sqrt(Math.abs(A[i][i] * A[j][j])) || A[i][j] === 0) return false;
  const zeta = (A[j][j] - A[i][i]) / (2 * A[i][j]), t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const cos = 1 / Math.hypot(1, t), sin = cos * t;
  const mix = (a, b) => { for (let k = 0; k < a.length; k++) [a[k], b[k]] = [cos * a[k] - sin * b[k], sin * a[k] + cos * b[k]]; };
  mix(A[i], A[j]);
  for (const row of A) [row[i], row[j]] = [cos * row[i] - sin * row[j], sin * row[i] + cos * row[j]];
  A[i][j] = A[j][i] = 0;
  mix(V[i], V[j]);
  return true;
}

/** The logarithm of the gamma function (Lanczos 1964, with the nine coefficients of Godfrey). */
function logGamma(z) {
  const c = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  const t = z + 6.5, sum = c.reduce((all, value, i) => (i ? all + value / (z - 1 + i) : value));
  return 0.5 * Math.log(2 * Math.PI) + (z - 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The regularized incomplete beta function, by its continued fraction (DLMF 8.17.22). */
function incompleteBeta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const some = (value) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1, d = 1 / some(1 - ((a + b) * x) / (a + 1)), h = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const before = h;
    for (const term of [even, odd]) {
      d = 1 / some(1 + term * d);
      c = some(1 + term / c);
      h *= d * c;
    }
    if (Math.abs(h / before - 1) < 1e-16) break;
  }
  return front * h;
}

/** The probability that F of df degrees of freedom is above a value. */
const aboveF = (F, [one, other]) => incompleteBeta(other / (other + one * F), other / 2, one / 2);

/** Student's t, above which a share of (1 - level) / 2 lies. */
function studentT(df, level) {
  let low = 0, high = 1e6;
  for (let i = 0; i < 200; i++) {
    const t = (low + high) / 2;
    if (incompleteBeta(df / (df + t * t), df / 2, 0.5) > 1 - level) low = t;
    else high = t;
  }
  return (low + high) / 2;
}
