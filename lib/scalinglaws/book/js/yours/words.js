// Names of columns, units and numbers as people write them: tables/columns.py, units.py and numbers.py of the library.
// WORDS are the library's own lists; the page is built with them.

const SETS = Object.fromEntries(Object.entries(WORDS.sets).map(([name, list]) => [name, new Set(list)]));
const meets = (words, ...sets) => [...words].some((word) => sets.some((set) => set.has(word)));
const within = (words, ...sets) => [...words].every((word) => sets.some((set) => set.has(word)));
const minus = (words, ...sets) => new Set([...words].filter((word) => !sets.some((set) => set.has(word))));
const whole = (pattern, flags = "") => new RegExp(`^(?:${pattern})$`, flags);
const longestFirst = (list) => [...list].sort((a, b) => b.length - a.length).join("|");

const FLOP_WORD = whole(`(${longestFirst(Object.keys(WORDS.prefixes))})(?:flops?|flos?)`), PF_DAYS = "(?:pfs?|pflops?s?|petaflops?s?)days?";
const POWER = whole("(?:10(?:\\^|\\*\\*)\\+?(\\d+)|1(?:\\.0*)?e\\+?(\\d+))"), POWER_AFTER = "1(?:\\.0*)?e\\+?\\d+|10\\s*(?:\\^|\\*\\*)\\s*\\d+";

/** The factor of a unit of N, D or C, such as that of "B", "1e9 tokens" or "PF-days"; null: no unit. */
function scaleOf(text) {
  text = text.toLowerCase().replaceAll("×", "x").replaceAll("·", " ");
  if (whole(PF_DAYS).test(text.replace(/[^a-z0-9]/g, ""))) return WORDS.pfDay;
  let factor = 1, said = false;
  for (const word of text.match(/10(?:\^|\*\*)\+?\d+|\d+(?:\.\d+)?(?:e\+?\d+)?|[a-zµ#]+|[^\sa-z0-9]/g) ?? []) {
    const power = POWER.exec(word), flop = FLOP_WORD.exec(word), counted = SETS._COUNTED.has(word) || word === "1";
    if (power) factor *= 10 ** Number(power[1] ?? power[2]);
    else if (word in WORDS.scales) factor *= WORDS.scales[word];
    else if (flop) factor *= WORDS.prefixes[flop[1]];
    else if (!counted && !"-_/()[]*".includes(word)) return null;
    said ||= Boolean(power || flop || word in WORDS.scales || counted);
  }
  return said ? factor : null;
}

/** The name of the unit of a loss that some words stand for, such as "bits per byte"; null: none. */
function lossUnit(words) {
  const found = new Set([...words].filter((word) => word in WORDS.sameUnit).map((word) => WORDS.sameUnit[word]));
  const per = (list) => list.find((each) => found.has(each));
  if (found.has("perplexity")) { const of = per(["byte", "word", "character"]); return of ? `perplexity per ${of}` : "perplexity"; }
  const known = ["bpb", "bpc", "bpw", "bits per token"].find((each) => found.has(each));
  if (known) return known;
  const of = ["bits", "nats"].find((each) => found.has(each)), what = per(["byte", "character", "word", "token"]) ?? "token";
  return of === undefined ? null : what !== "token" || found.has("token") ? `${of} per ${what}` : of;
}

const lossUnitOf = (text) => lossUnit(new Set(text.toLowerCase().match(/[a-z]+/g) ?? []));

/** A name without the part that says where a tracker keeps it. */
function withoutHome(name) {
  for (;;) {
    const parts = /^([A-Za-z_]+)[/.](\S.*)$/.exec(name);
    if (!parts || !SETS._HOMES.has(parts[1].toLowerCase()) || whole(POWER_AFTER, "i").test(parts[2])) return name;
    name = parts[2];
  }
}

/** The words of a name in small letters, and the text of a unit at its end. */
function wordsOf(name) {
  let text = withoutHome(name.trim().replace(/^[*`"']+|[*`"']+$/g, "")), unit = "";
  const known = (end) => scaleOf(end) !== null || lossUnitOf(end) !== null;
  const bracket = /^(.*?)\s*[([{]\s*([^()[\]{}]*?)\s*[)\]}]\s*$/.exec(text), over = new RegExp(`^(.*\\S)\\s*/\\s*(${POWER_AFTER})$`, "i").exec(text);
  const listed = /^(.*\S)\s*,\s*(\S.*)$/.exec(text);
  if (bracket) [text, unit] = known(bracket[2]) ? [bracket[1], bracket[2]] : [`${bracket[1]} ${bracket[2]}`, ""];
  else if (over) [text, unit] = [over[1], over[2]];
  else if (listed && known(listed[2])) [text, unit] = [listed[1], listed[2]];
  text = text.replace(/(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])/g, " "); // numParams, valLoss
  return [text.toLowerCase().match(/[a-z]+[0-9]*|[0-9]+[a-z]*|#/g) ?? [], unit];
}

/** What a column is by its name: {letter, rank, kind, factor, unit}; null where a word changes what the others say. */
function meaning(name) {
  let [own, unit] = wordsOf(name);
  if (!own.length || /__(min|max)$/i.test(name)) return null;
  if (own.length === 1 && "ndcluxsf".includes(own[0]) && own[0].length === 1) return own[0] === "f" ? null : ofLetter(own[0], name, unit);
  own = own.map((word) => (word === "#" ? "n" : word));
  return isRatio(name) ? null : (ofFlops(own, unit, name) ?? ofCounts(own, unit) ?? ofLoss(own, unit));
}

/** Whether a name is that of one count over another, such as D/N. */
function isRatio(name) {
  const parts = withoutHome(name).split("/").filter((part) => part.trim());
  if (parts.length !== 2 || new RegExp(POWER_AFTER, "i").test(name)) return false;
  return parts.map(meaning).every((each) => each && "NDC".includes(each.letter));
}

function ofLetter(letter, name, unit) {
  const capital = letter === "x" || /^[A-Z]/.test(name.trim());
  if (letter === "l") return { letter: "L", rank: [2, capital ? 0 : 1, 0], kind: "", unit: unit ? lossUnitOf(unit) : null };
  return { letter: letter === "x" ? "x" : letter.toUpperCase(), rank: [capital ? 0 : 2], kind: "", factor: unit ? scaleOf(unit) : null };
}

/** A column of compute, in FLOPs or in a unit that its name has. */
function ofFlops(own, unit, name) {
  const joined = own.join(""), days = new RegExp(`${PF_DAYS}$`).exec(joined);
  let factor = unit ? scaleOf(unit) : null;
  if (days) {
    const rest = joined.slice(0, days.index).match(new RegExp(longestFirst(SETS._C_FREE), "g"));
    return rest || !days.index ? { letter: "C", rank: [0], kind: "", factor: WORDS.pfDay } : null;
  }
  const flops = own.filter((word) => FLOP_WORD.test(word)), others = minus(new Set(own), new Set(flops));
  if (/flops?\s*(\/|\bper\b)/i.test(name) && !new RegExp(POWER_AFTER, "i").test(name)) return null; // a speed
  const byRule = [...others].some((word) => ["6nd", "nd", "6"].includes(word)), approx = others.has("c") && (byRule || others.has("approx"));
  const compute = others.has("compute") || others.has("budget");
  if (!flops.length && !compute && !approx) return null;
  if (minus(others, SETS._C_FREE, new Set(["6nd", "nd", "6", ...Object.keys(WORDS.scales)])).size) return null;
  for (const word of flops) { const found = scaleOf(word); if (factor === null && found !== 1) factor = found; }
  for (const word of others) if (word in WORDS.scales && word !== "c") factor = WORDS.scales[word];
  return { letter: "C", rank: [byRule || !(flops.length || others.has("compute")) ? 1 : 0], kind: "", factor };
}

/** A column of parameters or tokens, with which parameters. */
function ofCounts(own, unit) {
  let factor = unit ? scaleOf(unit) : null, rest = new Set(own);
  if (own.length > 1 && own.at(-1) in WORDS.scales && !unit) [factor, rest] = [WORDS.scales[own.at(-1)], new Set(own.slice(0, -1))];
  rest.delete("in");
  const only = (...words) => rest.size === words.length && words.every((word) => rest.has(word));
  const dFree = minus(SETS._D_FREE, new Set(["n"]));
  const tokens = meets(rest, SETS._D_HEADS) || (rest.has("d") && within(minus(rest, new Set(["d"])), dFree));
  if (tokens && !meets(rest, SETS._N_HEADS)) {
    if (rest.has("unique") && within(minus(rest, new Set(["unique"])), SETS._D_HEADS, SETS._D_FREE, SETS._D_STOCK)) return { letter: "U", rank: [0], kind: "", factor };
    if (within(rest, SETS._D_HEADS, SETS._D_FREE, SETS._D_STOCK, new Set(["mean", "in", "x"]))) return { letter: "D", rank: [meets(rest, SETS._D_STOCK) ? 1 : 0], kind: "", factor };
    return null;
  }
  if (only("dataset", "size") || only("data", "size")) return { letter: "D", rank: [1], kind: "", factor };
  return ofParameters(rest, factor, only);
}

function ofParameters(rest, factor, only) {
  const embedding = meets(rest, SETS._EMBEDDING);
  let kind = "";
  if (meets(rest, SETS._NONEMB) || (embedding && meets(rest, SETS._NOT))) kind = "non-embedding";
  else if (embedding && !meets(rest, SETS._WITH)) return null; // those of the embeddings alone
  else if (meets(rest, SETS._ACTIVE)) kind = "active";
  else if (meets(rest, SETS._BODY)) kind = "body";
  else if (meets(rest, SETS._TOTAL) || embedding) kind = "total";
  const free = [SETS._N_HEADS, SETS._N_FREE, SETS._TOTAL, SETS._ACTIVE, SETS._BODY, SETS._NONEMB, SETS._EMBEDDING];
  if (minus(rest, ...free, ...(embedding ? [SETS._NOT, SETS._WITH] : [])).size) return null;
  if (!(meets(rest, SETS._N_HEADS) || only("model", "size") || only("size") || (rest.has("n") && (kind || factor)))) return null;
  const freeWords = [...rest].filter((word) => SETS._N_FREE.has(word));
  if (freeWords.length === 1 && freeWords[0] === "no" && kind === "") return null;
  return { letter: "N", rank: [{ "": 0, total: 0, "non-embedding": 1, active: 2, body: 3 }[kind] + 4 * Number(only("size"))], kind, factor };
}

/** A column of losses: of validation, test, an unnamed text or training; and its unit. */
function ofLoss(own, unit) {
  const rest = new Set(own), key = lossUnit(rest), cross = rest.has("cross") && rest.has("entropy");
  if (!(meets(rest, SETS._L_HEADS) || cross || ![null, "bits", "nats"].includes(key)) || meets(rest, SETS._NO_LOSS) || rest.has("steps")) return null;
  if (rest.has("per") && key === null) return null;
  const [train, val, test] = [SETS._TRAIN, SETS._VALIDATION, SETS._TEST].map((set) => meets(rest, set));
  const [split, kind] = train && !val ? [4, "training"] : test && !val ? [1, "test"] : val ? [0, "validation"] : [2, ""];
  const unknown = minus(rest, SETS._L_HEADS, SETS._L_FREE, SETS._VALIDATION, SETS._TEST, SETS._TRAIN, SETS._L_ODD).size > 0;
  const of = unit ? lossUnitOf(unit) : key, plain = [null, "nats", "nats per token"].includes(of);
  return { letter: "L", rank: [split, unknown || meets(rest, SETS._L_ODD) ? 1 : 0, Number(!plain)], kind, unit: of };
}

/** What else a column is by its name: run, step, status, seed, recipe, ...; empty: nothing that is known. */
function role(name) {
  const joined = wordsOf(name)[0].join("");
  return Object.keys(WORDS.roles).find((key) => WORDS.roles[key].includes(joined)) ?? "";
}

const isMissing = (cell) => SETS.MISSING.has(cell.trim().toLowerCase());
const isName = (cell) => meaning(cell) !== null || role(cell) !== "";
const isUnit = (cell) => !cell.replace(/[- –—()[\]]/g, "") || scaleOf(cell) !== null || lossUnitOf(cell) !== null;
const isNumber = (cell) => !(Number.isNaN(numberOf(cell, ".")) && Number.isNaN(numberOf(cell, ",")));

const GROUPED = { ",": /^\d{1,3}(,\d{3})+$/, ".": /^\d{1,3}(\.\d{3})+$/, " ": /^\d{1,3}( \d{3})+$/ };
const PLAIN = /^([+-]?)([\d., ]*\d[\d., ]*)(?:e([+-]?\d+))?$/;
const COMMA_IS_DECIMAL = /^[+-]?(\d+,(\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})(e[+-]?\d+)?$/;
const POINT_IS_DECIMAL = /^[+-]?(\d*\.(\d{0,2}|\d{4,})|0\d*\.\d+|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})(e[+-]?\d+)?$/;

/** The decimal mark of cells, by those that can be read in one way only; null where they contradict. */
function decimalMark(cells, separator) {
  const texts = cells.map((cell) => cell.trim().toLowerCase().replace(/\s*[a-z]+$/, "")), some = (test) => texts.some(test);
  const comma = some((text) => COMMA_IS_DECIMAL.test(text)), point = some((text) => POINT_IS_DECIMAL.test(text));
  if (comma && point) return null;
  const last = some((text) => text.includes(",")) && !some((text) => text.includes(".")) && [";", "\t", " "].includes(separator);
  return comma || (!point && last) ? "," : ".";
}

/** The number in a text: 20,000,000; 1.3B; 2 x 10^9; 1.5 PF-days. NaN if it is none. */
function numberOf(text, decimal) {
  text = text.replace(/[\u00a0\u2009\u202f\u2007'’_]/g, "").replace(/[−–]/g, "-").trim().toLowerCase();
  if (SETS.MISSING.has(text)) return NaN;
  const power = /^([+-]?\d+)\s*(?:\^|\*\*)\s*([+-]?\d+)$/.exec(text), times = /^(.*\d)\s*[x×*·]\s*10\s*(?:\^|\*\*)?\s*([+-]?\d+)$/.exec(text);
  if (power && Math.abs(Number(power[2])) < 400) return Number(power[1]) ** Number(power[2]);
  if (times) return numberOf(times[1], decimal) * 10 ** Number(times[2]);
  let factor = 1;
  const suffixed = /^(.*\d\.?)\s*([a-z][a-z/\s-]*)$/.exec(text);
  if (suffixed && !PLAIN.test(text)) {
    factor = suffixFactor(suffixed[2].trim());
    if (factor === null) return NaN;
    text = suffixed[1].trim();
  }
  const plain = PLAIN.exec(text);
  if (!plain) return ["inf", "+inf", "infinity", "∞"].includes(text) ? Infinity : text === "-inf" ? -Infinity : NaN;
  const digits = joinedDigits(plain[2].trim(), decimal);
  return digits === null ? NaN : factor * Number(`${plain[1]}${digits}e${plain[3] ?? 0}`);
}

function suffixFactor(text) {
  const first = text.split(/\s+/)[0], known = first in WORDS.scales || FLOP_WORD.test(first) || whole(PF_DAYS).test(text.replace(/[^a-z]/g, ""));
  return known || ["tokens", "params", "parameters"].includes(first) ? scaleOf(text) : null;
}

/** Digits without separators and with a point; null where separators stand where none can. */
function joinedDigits(digits, decimal) {
  const at = digits.indexOf(decimal), [first, rest] = at < 0 ? [digits, ""] : [digits.slice(0, at), digits.slice(at + 1)];
  if (!/^\d*$/.test(rest)) return null;
  const other = [",", ".", " "].find((mark) => mark !== decimal && first.includes(mark));
  if (other && !GROUPED[other].test(first)) return null;
  if (!other && !(/^\d+$/.test(first) || (!first && rest))) return null;
  return first.replace(/[,. ]/g, "") + (at < 0 ? "" : `.${rest}`);
}
