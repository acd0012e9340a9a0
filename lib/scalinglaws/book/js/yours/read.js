// A pasted table to points: tables/text.py, choice.py, counts.py and readings.py of the library, of which this reads the usual part.
// What it cannot know it refuses, and says what to do.

const MOST_ROWS = 20_000, SAMPLE = 40, HEADER_WITHIN = 12, ONE_SIZE = 1.02, SAME_PLACE = 0.005;
const LIKELY = WORDS.likely, FORMS = { ",": "CSV", ";": "CSV with semicolons", "\t": "TSV", "|": "text with bars", " ": "text in columns" };
const quoted = (text) => `'${text.length > 60 ? `${text.slice(0, 60)}...` : text}'`;
const listed = (items, most = 8) => items.slice(0, most).join(", ") + (items.length > most ? ` and ${items.length - most} more` : "");
const refuse = (message) => { throw new Error(message); };

/** Rows of cells, and the line that each ends on; a quoted cell may hold separators and line ends. Not whole: a line of it. */
function splitCells(text, separator, whole = true) {
  const rows = [], ends = [];
  let row = [], cell = "", inside = false, line = 1, begun = 1;
  const close = () => { row.push(cell); cell = ""; };
  const end = () => { close(); rows.push(row); ends.push(line); row = []; };
  for (let i = 0; i < text.length; i++) {
    const mark = text[i];
    if (mark === "\n") line++;
    if (inside) {
      if (mark !== '"') cell += mark;
      else if (text[i + 1] === '"') { cell += '"'; i++; } else inside = false;
    } else if (mark === '"' && cell === "") [inside, begun] = [true, line];
    else if (mark === separator) close();
    else if (mark === "\n") { line--; end(); line++; } else if (mark !== " " || cell !== "") cell += mark;
  }
  if (inside && whole) refuse(`line ${begun}: a quote is not closed`);
  if (cell !== "" || row.length) end();
  return [rows, ends];
}

const cellsOf = (line, separator) => (separator === " " ? line.trim().split(/\s+/) : splitCells(line, separator, false)[0][0] ?? []);

/** What separates cells: that by which most names are known, and all lines have equally many cells. */
function separatorOf(lines) {
  const fit = (separator) => {
    const rows = lines.map((line) => cellsOf(line, separator)), known = rows.slice(0, HEADER_WITHIN).map((row) => row.filter(isName).length);
    const counts = new Map();
    rows.forEach(({ length }) => counts.set(length, (counts.get(length) ?? 0) + 1));
    const [width, count] = [...counts].reduce((best, other) => (other[1] > best[1] ? other : best)), most = Math.max(...known);
    const even = width > 1 && count >= 0.7 * rows.length && [width - 1, width].includes(rows[known.indexOf(most)].length);
    return [Number(even), most, count / rows.length, width];
  };
  const better = (a, b) => { const i = a.findIndex((value, k) => value !== b[k]); return i >= 0 && a[i] > b[i]; };
  const best = (marks) => marks.map((mark) => [mark, fit(mark)]).reduce((top, other) => (better(other[1], top[1]) ? other : top));
  const marks = [",", ";", "\t", "|"], [mark, [even, known]] = best(marks);
  return even && known ? mark : best([...marks, " "])[0];
}

/** The sheet in a text: {header, units, rows, lines, separator, form, notes}. */
function sheetOf(text) {
  text = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  if (!text.trim()) refuse("nothing was pasted; it needs a header line and a line for each run");
  if (/^\s*[[{]/.test(text)) refuse("this looks like JSON: the page reads text tables; `scalinglaws fit` reads JSON, Parquet and folders");
  const drawn = text.split("\n").some((line) => /^(?=.*[-=─━═]{2})[\s|+\-=:\u2500-\u257f]+$/.test(line) && /[|+\u2500-\u257f]/.test(line));
  const { rows, ends, separator } = drawn ? drawnRows(text) : separatedRows(text);
  const kept = rows.map((row, i) => [row, ends[i]]).filter(([row]) => row.some((cell) => cell.trim()));
  if (!kept.length) refuse("nothing was pasted; it needs a header line and a line for each run");
  const at = Math.max(kept.slice(0, HEADER_WITHIN).findIndex(([row]) => row.filter(isName).length >= 2), 0);
  const header = kept[at][0].map((name) => name.trim()), notes = at ? [`the header is line ${kept[at][1]}; what stands above it is left out`] : [];
  if (header.every(isNumber) && !header.every(isMissing)) refuse("line 1 holds numbers only, so no column for N, D or L is known; add a header line such as N,D,loss");
  return shaped({ header, body: kept.slice(at + 1), separator, form: drawn ? "Markdown" : FORMS[separator], notes });
}

/** A table of Markdown, or one drawn with bars. */
function drawnRows(text) {
  const rows = [], ends = [];
  text.split("\n").forEach((line, i) => {
    const plain = line.replace(/[│┃║]/g, "|").trim();
    if (/^(?=.*[-=─━═]{2})[\s|+\-=:\u2500-\u257f]+$/.test(plain) || !plain.includes("|")) return;
    rows.push(plain.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/^(\*\*|__|\*|`|~~)(.*)\1$/, "$2").replaceAll("\\_", "_")));
    ends.push(i + 1);
  });
  return { rows, ends, separator: "|" };
}

/** A table whose cells are separated by a mark or by white space; names may stand behind a comment sign. */
function separatedRows(text) {
  const lines = text.split("\n"), declared = /^"?sep=(.)"?$/.exec(lines[0].trim())?.[1], comment = (line) => /^\s*(#|%|\/\/)/.test(line);
  const first = lines.findIndex((line, i) => line.trim() && !comment(line) && !(i === 0 && declared));
  if (first < 0) refuse("there are only comments; it needs a header line and a line for each run");
  const sample = lines.slice(first).filter((line) => line.trim()).slice(0, SAMPLE), bare = lines.slice(0, first).filter(comment).map((line) => line.replace(/^[#%/\s]+/, ""));
  const separator = declared ?? separatorOf([...bare.slice(-1), ...sample]), body = lines.slice(first).join("\n");
  let [rows, ends] = separator === " " ? [lines.slice(first).map((line) => cellsOf(line, " ")), lines.slice(first).map((_, i) => i + 1)] : splitCells(body, separator);
  ends = ends.map((line) => line + first);
  const names = bare.findLast((line) => cellsOf(line, separator).filter((cell) => meaning(cell)).length >= 2);
  if (names && rows[0].filter((cell) => cell.trim()).every((cell) => isNumber(cell) && !isMissing(cell))) {
    [rows, ends] = [[cellsOf(names, separator), ...rows], [first, ...ends]];
  }
  return { rows, ends, separator };
}

/** Header and rows of one width; a row of units is taken off, comments are left out, what is too long is refused. */
function shaped({ header, body, separator, form, notes }) {
  if (!body.length) refuse("no rows below the header; it needs a line for each run");
  let units = {};
  const second = body[0][0].map((cell) => cell.trim()), letters = second.filter((cell) => cell && !isMissing(cell));
  if (letters.length && second.length <= header.length && !letters.some(isNumber) && letters.every(isUnit) && second.join() !== header.join()) {
    units = Object.fromEntries(second.map((cell, k) => [header[k], cell]));
    body = body.slice(1);
  }
  body = body.filter(([row]) => !(row[0]?.startsWith("#") && row.length < header.length));
  const long = body.filter(([row]) => row.slice(header.length).some((cell) => cell.trim()));
  if (long.length === body.length && long.length && long.every(([row]) => row.length === header.length + 1) && numbered(long.map(([row]) => row[0]))) header = ["", ...header];
  else if (long.length) {
    const why = long.length === body.length ? " (decimal commas need quotes, or semicolons between the cells)" : "";
    refuse(`line ${long[0][1]} has ${long[0][0].length} cells, the header ${header.length} names; mend it${why}`);
  }
  const again = body.find(([row]) => row.map((cell) => cell.trim()).join("\0") === header.join("\0"));
  if (again) refuse(`line ${again[1]} is the header again: two tables stand here; give one, or delete that line if their runs differ`);
  if (!body.length) refuse("no rows below the header; it needs a line for each run");
  if (body.length > MOST_ROWS) refuse(`${body.length} rows: the page takes up to ${MOST_ROWS}; \`scalinglaws fit\` takes more`);
  const rows = body.map(([row]) => header.map((_, k) => (row[k] ?? "").trim()));
  return { header, units, rows, lines: body.map(([, line]) => line), separator, form, notes };
}

/** Whether cells number or name rows. */
function numbered(cells) {
  if (!cells.some(isNumber)) return new Set(cells).size === cells.length;
  return [0, 1].some((first) => cells.every((cell, k) => cell === String(k + first)));
}

const columnOf = ({ header, rows }, name) => rows.map((row) => row[header.indexOf(name)]);
const wordsIn = (sheet, name) => columnOf(sheet, name).map((cell) => (isMissing(cell) ? "" : cell));
const rolesIn = ({ header }, wanted) => header.filter((name) => role(name) === wanted);
const linesOf = ({ lines }, bad) => { const own = lines.filter((_, i) => bad[i]); return `line${own.length > 1 ? "s" : ""} ${listed(own)}`; };
const only = (sheet, keep) => ({ ...sheet, rows: sheet.rows.filter((_, i) => keep[i]), lines: sheet.lines.filter((_, i) => keep[i]) });

function numbersIn(sheet, name) {
  const known = sheet.header.filter((each) => meaning(each)), names = known.length > 1 ? known : sheet.header;
  if (sheet.decimal === undefined) {
    const cells = [...new Set(names.flatMap((each) => columnOf(sheet, each)))];
    sheet.decimal = decimalMark(cells.filter((cell) => cell.length < 40 && /\d/.test(cell)), sheet.separator) ?? ".";
  }
  return columnOf(sheet, name).map((cell) => numberOf(cell, sheet.decimal));
}

const valuesOf = (sheet, { name, factor }) => numbersIn(sheet, name).map((value) => value * factor);

/** The points of a pasted table; `asked` has columns by letter, units by letter, and the unit of the loss, where the reader chose. */
function readTable(text, asked = {}) {
  const whole = sheetOf(text), notes = [...whole.notes], warnings = [];
  const sheet = withoutFailed(withoutSums(whole, notes), notes), chosen = chooseColumns(sheet, asked);
  refuseReadings(sheet, chosen);
  const budgets = chosen.N && chosen.D ? budgetColumn(sheet, chosen, notes) : null;
  const values = Object.fromEntries(Object.entries(chosen).map(([letter, choice]) => [letter, positive(sheet, choice)]));
  const unit = convertLoss(values, chosen.L), derived = completed(values, chosen);
  refuseImplausible(values, chosen);
  const keep = bestRecipes(sheet, values, notes, warnings), points = Object.fromEntries([..."NDCL"].map((letter) => [letter, keep.map((i) => values[letter][i])]));
  warnings.push(...doubtful(points, chosen.L));
  const account = accountOf({ read: whole, runs: sheet.rows.length, points, chosen, unit, derived });
  const asWell = Object.values(chosen).filter((choice) => choice.others.length);
  const others = asWell.map((choice) => `${choice.letter} could also be ${choice.others.slice(0, 4).map(quoted).join(" or ")}`);
  const C = budgets ? keep.map((i) => budgets[i]) : points.C;
  const taken = Object.fromEntries(Object.values(chosen).map(({ letter, name }) => [letter, name]));
  return { points, C, unit, notes: [account, ...others, ...notes], warnings, header: whole.header.filter(Boolean), taken };
}

/** What was read, in one line. */
function accountOf({ read, runs, points: { N, D, L }, chosen, unit, derived }) {
  const places = new Set(L.map((_, i) => `${N[i]} ${D[i]}`)).size, how = { perplexity: " (ln of perplexity)", bits: " (bits times ln 2)" };
  const used = [..."NDC"].filter((letter) => letter in chosen).map((letter) => choiceWords(chosen[letter]));
  const loss = `${choiceWords(chosen.L)} in ${unit}${how[chosen.L.unit === "bits" ? "bits" : chosen.L.unit?.split(" ")[0]] ?? ""}`;
  const size = `${L.length} ${L.length === runs ? "runs" : "points"} at ${places} places (N, D)`;
  return [`read ${read.rows.length} rows (${read.form}): ${size}`, [...used, loss].join(", "), ...derived].join("; ");
}

/** The column of compute of a table that has N and D: it says which runs share a budget. The law's C is 6 N D. */
function budgetColumn(sheet, chosen, notes) {
  const { C, N, D } = chosen;
  delete chosen.C;
  if (!C) return null;
  const [of, size, tokens] = [C, N, D].map((choice) => valuesOf(sheet, choice)), ratio = median(of.map((value, i) => value / (6 * size[i] * tokens[i])));
  if (!of.every((value) => Number.isFinite(value) && value > 0) || !(ratio > 1 / 30 && ratio < 30)) {
    notes.push(`C (${quoted(C.name)}) is not read: not all of it are FLOPs near 6 N D`);
    return null;
  }
  notes.push(`C (${quoted(C.name)}), ${short(6 * ratio, 3)} N D in the middle, says which runs share a budget; the law counts C = 6 N D`);
  return of;
}

/** What makes points doubtful that are all numbers. */
function doubtful({ N, D, L }, { kind, name }) {
  const copies = L.length - new Set(L.map((loss, i) => `${N[i]} ${D[i]} ${loss}`)).size, out = [];
  if (copies) out.push(`${copies} of ${L.length} rows repeat another one: copies are no new evidence`);
  if (kind === "training") out.push(`${quoted(name)} is the loss of training: on repeated data it is below the loss on new text`);
  return out;
}

const choiceWords = ({ letter, name, kind, factor }) => `${letter} from ${quoted(name)}${kind ? ` (${kind})` : ""}${scaleWords(letter, factor)}`;

function scaleWords(letter, factor) {
  const known = { 1: "", 1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions", [WORDS.pfDay]: "PF-days" };
  if (letter === "C") "MGTPEZY".split("").forEach((prefix, k) => { known[10 ** (6 + 3 * k)] = `${prefix}FLOPs`; });
  const text = known[factor] ?? `units of ${factor}`;
  return letter === "L" || !text ? "" : ` in ${text}`;
}

/** The rows above the totals or means that end a table. */
function withoutSums(sheet, notes) {
  const foot = sheet.rows.map(() => false);
  for (const name of sheet.header.filter((each) => meaning(each) === null)) {
    const own = wordsIn(sheet, name).map((word) => SETS.SUMMARY.has(word.toLowerCase().replace(/^[ *:#.]+|[ *:#.]+$/g, "")));
    const last = own.lastIndexOf(false);
    if (2 * (own.length - 1 - last) < own.length) for (let i = last + 1; i < own.length; i++) foot[i] = true;
  }
  if (foot.some(Boolean)) notes.push(`left out, as sums or means of the rows above: ${linesOf(sheet, foot)}`);
  return only(sheet, foot.map((each) => !each));
}

/** The rows that are results, by columns of statuses. */
function withoutFailed(sheet, notes) {
  const bad = sheet.rows.map(() => false), mark = (own) => own.forEach((each, i) => { bad[i] ||= each; });
  for (const name of rolesIn(sheet, "status")) {
    mark(wordsIn(sheet, name).map((word) => word.toLowerCase().replace(/\W+/g, "_")).map((word) => SETS.FAILED.has(word) || /^(stopped_at|cancelled_by|fail)/.test(word)));
  }
  for (const [wanted, failing] of [["failed", true], ["finished", false]]) {
    for (const name of rolesIn(sheet, wanted)) {
      const said = wordsIn(sheet, name).map((word) => word.toLowerCase());
      const yes = ["true", "yes", "1", "1.0"], all = [...yes, "false", "no", "0", "0.0", ""];
      if (said.every((word) => all.includes(word))) mark(said.map((word) => word !== "" && yes.includes(word) === failing));
    }
  }
  for (const name of rolesIn(sheet, "exit")) mark(numbersIn(sheet, name).map((code) => Boolean(code) && !Number.isNaN(code)));
  if (bad.every(Boolean)) refuse("every run diverged or failed, by a column of statuses");
  if (bad.some(Boolean)) notes.push(`left out, as no finished runs by a column of statuses: ${linesOf(sheet, bad)}`);
  return only(sheet, bad.map((each) => !each));
}

/** The column of each of N, D, C and L: chosen by the reader or found by its name. */
function chooseColumns(sheet, { columns = {}, units = {}, lossUnit: ofLoss } = {}) {
  const chosen = {}, asks = {};
  for (const letter of "NDCL") {
    try {
      const found = columns[letter] === "none" ? null : columns[letter] ? named(sheet, letter, columns[letter]) : foundColumn(sheet, letter);
      if (found) chosen[letter] = units[letter] ? { ...found, factor: units[letter], said: true } : found;
    } catch (tie) { asks[letter] = tie.message; }
  }
  if (ofLoss && chosen.L) chosen.L = { ...chosen.L, unit: ofLoss, said: true };
  const enough = (letter) => letter in chosen || letter in asks;
  for (const letter of "NDL") {
    const derived = letter !== "L" && [..."NDC"].filter((other) => other !== letter && enough(other)).length === 2;
    if (!enough(letter) && !derived) {
      const such = { N: "N, n_params, params_M", D: "D, tokens, tokens_B", L: "L, loss, val_loss" }[letter], there = listed(sheet.header.filter(Boolean), 30);
      refuse(`no column for ${letter} (such as ${such}); choose it below; there are: ${there}`);
    }
  }
  const needed = ["N", "D"].every((letter) => letter in chosen) ? "NDL" : "NDCL", open = [...needed].find((letter) => asks[letter]);
  if (open) refuse(asks[open]);
  return chosen;
}

function named(sheet, letter, name) {
  if (!sheet.header.includes(name)) return foundColumn(sheet, letter);
  const known = meaning(name), same = known?.letter === letter;
  return choiceOf(sheet, letter, name, same ? known : { kind: "", factor: known?.factor, unit: null });
}

function choiceOf(sheet, letter, name, known, others = []) {
  const row = sheet.units[name] ?? "", factor = known.factor ?? (row ? scaleOf(row) : null) ?? 1;
  return { letter, name, kind: known.kind, factor: letter === "L" ? 1 : factor, unit: letter === "L" ? (known.unit ?? lossUnitOf(row)) : null, said: false, others };
}

/** The column whose name fits a letter best; of two that fit equally well and differ, an error. */
function foundColumn(sheet, letter) {
  let found = [...new Set(sheet.header)].map((name) => [meaning(name), name]).filter(([known]) => known?.letter === letter);
  const filled = found.filter(([, name]) => numbersIn(sheet, name).filter((value) => !Number.isNaN(value)).length * 4 >= sheet.rows.length);
  found = filled.length ? filled : found.slice(0, 1);
  if (!found.length) return null;
  const twice = found.find(([, name]) => sheet.header.filter((each) => each === name).length > 1);
  if (twice) refuse(`column ${quoted(twice[1])} stands twice in the header; rename one`);
  const order = (a, b) => { const i = a.rank.findIndex((value, k) => value !== b.rank[k]); return i < 0 ? 0 : a.rank[i] - b.rank[i]; };
  found.sort(([a], [b]) => order(a, b));
  const spans = (name) => { const own = numbersIn(sheet, name).filter((value) => value > 0); return own.length && Math.max(...own) > ONE_SIZE * Math.min(...own); };
  const best = (letter === "N" && found.length > 1 && found.find(([, name]) => spans(name))) || found[0], others = found.filter((each) => each !== best);
  const choice = choiceOf(sheet, letter, best[1], best[0], others.map(([, name]) => name));
  const equal = others.filter(([known]) => order(known, best[0]) === 0).map(([known, name]) => choiceOf(sheet, letter, name, known));
  const tie = equal.find((other) => !agree(sheet, choice, other));
  if (tie) refuse(`columns ${quoted(choice.name)} and ${quoted(tie.name)} fit ${letter} equally well and differ; choose one below`);
  return choice;
}

function agree(sheet, one, other) {
  const [a, b] = [one, other].map((choice) => valuesOf(sheet, choice)), both = range(a.length).filter((i) => !Number.isNaN(a[i] + b[i]));
  return both.length > 0 && both.every((i) => Math.abs(a[i] - b[i]) <= 1e-6 * Math.abs(a[i]));
}

/** A column of positive, finite numbers in its unit. */
function positive(sheet, choice) {
  const { letter, name } = choice, values = valuesOf(sheet, choice), bad = values.map((value) => !(Number.isFinite(value) && value > 0));
  if (!bad.some(Boolean)) return values;
  const cell = columnOf(sheet, name)[bad.indexOf(true)], said = isMissing(cell) ? "empty or nan" : quoted(cell), count = bad.filter(Boolean).length;
  return refuse(`${linesOf(sheet, bad)}: ${letter} (${quoted(name)}) is ${said}, no finite number above zero (${count} such rows); mend or drop them`);
}

/** Losses in nats per token, or in what cannot be converted to it; returns that unit. */
function convertLoss(values, choice) {
  const [unit, factor] = WORDS.lossUnits[choice.unit ?? "nats"], L = values.L;
  if (factor === "ln") {
    if (!L.every((value) => value > 1)) refuse(`L (${quoted(choice.name)}) is perplexity by its name and ${short(Math.min(...L))} at its lowest, where perplexity is above 1; choose its unit below`);
    values.L = L.map(Math.log);
  } else if (factor !== null) values.L = L.map((value) => value * factor);
  if (unit === WORDS.nats && !choice.said && median(values.L) > WORDS.largestLoss) {
    refuse(`L (${quoted(choice.name)}) is ${short(median(values.L))} in the middle, too much for nats per token; is it perplexity? Choose its unit below`);
  }
  return unit;
}

/** N, D and C, the third of two by C = 6 N D; the rule in words. C of a table that has N and D is by 6 N D too. */
function completed(values, chosen) {
  if (values.N && values.D) {
    values.C = values.N.map((N, i) => 6 * N * values.D[i]);
    return ["C = 6 N D"];
  }
  const [missing, other] = values.N ? ["D", "N"] : ["N", "D"], { C } = values;
  values[missing] = C.map((value, i) => value / (6 * values[other][i]));
  const [low, high] = LIKELY[missing], ends = [Math.min(...values[missing]), Math.max(...values[missing])];
  if (!(low <= ends[0] && ends[1] <= high) && !chosen.C.said && !chosen[other].said) {
    refuse(`${missing} = C / (6 ${other}) would be ${short(ends[0], 3)} to ${short(ends[1], 3)}, which is implausible: in which units do C and ${other} stand? Choose them below`);
  }
  return [`${missing} = C / (6 ${other})`];
}

/** Refuse counts that no table of language models holds: they are in a unit that nobody said. */
function refuseImplausible(values, chosen) {
  for (const letter of "NDC") {
    const choice = chosen[letter], [low, high] = [Math.min(...values[letter]), Math.max(...values[letter])];
    if (!choice || choice.said || (letter === "C" && chosen.N && chosen.D) || (LIKELY[letter][0] <= low && high <= LIKELY[letter][1])) continue;
    refuse(`${letter} (${quoted(choice.name)}) is ${short(low)} to ${short(high)} ${{ N: "parameters", D: "tokens", C: "FLOPs" }[letter]}, which is implausible: choose its unit below`);
  }
  const ratio = median(values.D.map((D, i) => D / values.N[i])), said = chosen.N?.said && chosen.D?.said, span = Math.max(...values.N) / Math.min(...values.N);
  if (ratio > WORDS.mostRatio && !said) refuse(`half of the runs have more than ${short(ratio, 3)} tokens per parameter: N and D stand in different units; choose them below`);
  if (ratio < WORDS.swapped && !said) refuse(`half of the runs have fewer than ${short(ratio, 3)} tokens per parameter: are N and D swapped? Choose both columns and their units below to go on`);
  if (1 < span && span < ONE_SIZE) refuse(`N differs by ${short(100 * (span - 1), 2)}% between the runs, which is no sweep of sizes; of mixtures of experts choose the active parameters`);
}

/** Refuse rows that are readings of runs: they share their noise, and the command line knows what to do with them. */
function refuseReadings(sheet, { N, D }) {
  const advice = "keep the last row of each run; `scalinglaws fit` does that by itself", epochs = (name) => Number(/epoch/i.test(name));
  const [steps] = rolesIn(sheet, "step").sort((a, b) => epochs(a) - epochs(b));
  const sizes = N ? numbersIn(sheet, N.name) : null, differ = (labels, values) => {
    const first = new Map();
    labels.forEach((label, i) => { if (!first.has(label)) first.set(label, values[i]); });
    return labels.some((label, i) => Math.abs(first.get(label) / values[i] - 1) > 1e-9);
  };
  for (const wanted of ["run", "name"]) {
    for (const name of rolesIn(sheet, wanted)) {
      const said = wordsIn(sheet, name), count = new Set(said).size;
      if (said.includes("")) continue;
      if (count === said.length) { if (wanted === "run" || !said.every((word) => /^\d+$/.test(word))) return; continue; }
      if (sizes && differ(said, sizes)) continue; // a group of runs, such as a family of models
      if (wanted === "name" && (!steps || !differ(said, numbersIn(sheet, steps)))) continue;
      refuse(`column ${quoted(name)} names ${count} runs in ${said.length} rows: these are readings of runs, not runs; ${advice}`);
    }
  }
  if (!steps || sheet.rows.length < 3) return;
  const at = numbersIn(sheet, steps), other = D ? numbersIn(sheet, D.name) : at;
  let length = 1, longest = 1;
  for (let i = 1; i < at.length; i++) longest = Math.max(longest, (length = at[i] > at[i - 1] && (!sizes || sizes[i] === sizes[i - 1]) ? length + 1 : 1));
  if (longest >= 3 && !at.some(Number.isNaN) && !other.some(Number.isNaN)) {
    refuse(`column ${quoted(steps)} stands beside several rows of one size, and no column names runs: are they readings of one run? Then ${advice}; if each row is a run of its own, leave that column out`);
  }
}

/** The rows of the recipe of lowest mean loss at each place (N, D), with all its seeds. */
function bestRecipes(sheet, { N, D, L }, notes, warnings) {
  const [sizes, tokens] = [merged(N), merged(D)], at = sizes.map((value, i) => `${value} ${tokens[i]}`), every = range(L.length);
  const differs = (name) => new Set(wordsIn(sheet, name).map((word, i) => `${at[i]}\0${word}`)).size > new Set(at).size;
  const varied = [...rolesIn(sheet, "recipe"), ...rolesIn(sheet, "tokens_per_step")].filter(differs);
  if (!varied.length) {
    const places = new Set(every.map((i) => `${N[i]} ${D[i]}`)).size, copies = L.length - new Set(every.map((i) => `${N[i]} ${D[i]} ${L[i]}`)).size;
    if (L.length - copies > places && !rolesIn(sheet, "seed").some(differs)) warnings.push(`${L.length} rows stand at ${places} places (N, D) and are taken as repeats`);
    return every;
  }
  const texts = varied.map((name) => wordsIn(sheet, name)), recipes = every.map((i) => texts.map((own) => own[i]).join("\0")), groups = new Map();
  every.forEach((i) => { const key = `${at[i]}\0${recipes[i]}`; groups.set(key, [...(groups.get(key) ?? []), i]); });
  const best = new Map();
  for (const rows of groups.values()) {
    const loss = mean(rows.map((i) => L[i])), known = best.get(at[rows[0]]);
    if (!known || loss < known.loss) best.set(at[rows[0]], { loss, rows });
  }
  const keep = [...best.values()].flatMap(({ rows }) => rows).sort((a, b) => a - b);
  notes.push(`at each of ${best.size} places (N, D) the best of ${varied.map(quoted).join(", ")} is taken, of ${L.length} rows${keep.length > best.size ? "; seeds of it are kept" : ""}`);
  return keep;
}

/** Values of which those within half a percent of a smaller one count as that one. */
function merged(values) {
  let first = 0;
  const known = new Map(distinct(values).map((value) => [value, (first = value > first * (1 + SAME_PLACE) ? value : first)]));
  return values.map((value) => known.get(value));
}

/** The names of the columns of a pasted table. */
const headerOf = (text) => sheetOf(text).header.filter(Boolean);
