// The reader's own runs: a table that is dropped or pasted, read and fitted by the page itself. data: {engine: source of the module
// that reads and fits, examples: {name: {label, text}}, units}

const REFITS = 500, SEED = 0, MOST_BYTES = 2e7;
const DELTAS = { noise: null, "0.001": 1e-3, inf: Infinity };
const PRIVATE = "Nothing leaves this page: your browser reads and fits the table here, from disk or offline too. Nothing is sent, and nothing is kept once the page is closed.";
const LETTERS = { N: "N, parameters", D: "D, tokens", C: "C, FLOPs", L: "loss" };

/** A line of text with a class. */
const line = (text, kind = "") => html("p", kind ? { class: kind } : {}, text);
const between = (ends, digits = 3) => `${words(ends[0], digits)} to ${words(ends[1], digits)}`;

/** A text area, a button for files, one for each example, and the place where a file can be dropped. */
function inbox(examples, take) {
  const plain = { rows: 7, spellcheck: "false", autocomplete: "off", placeholder: "N,D,loss\n2e7,5e8,4.53\n…" };
  const area = html("textarea", { ...plain, "aria-label": "A table of runs: paste it here" });
  const file = html("input", { type: "file", "aria-label": "A file with a table of runs", accept: ".csv,.tsv,.txt,.md,text/*" });
  const open = async (one) => {
    if (one.size > MOST_BYTES) return take(null, `${one.name} has ${words(one.size / 1e6)} MB; the page takes up to ${MOST_BYTES / 1e6}: use the command line`);
    const bytes = new Uint8Array(await one.arrayBuffer()), wide = { "255 254": "utf-16le", "254 255": "utf-16be" }[`${bytes[0]} ${bytes[1]}`];
    area.value = new TextDecoder(wide ?? "utf-8").decode(bytes);
    return take(area.value);
  };
  let later;
  area.addEventListener("input", () => { clearTimeout(later); later = setTimeout(() => take(area.value), 300); });
  area.addEventListener("paste", (event) => { // by itself a browser takes half a minute for some thousand lines
    event.preventDefault();
    area.setRangeText(event.clipboardData.getData("text/plain"), area.selectionStart, area.selectionEnd, "end");
    take(area.value);
  });
  file.addEventListener("change", () => file.files[0] && open(file.files[0]));
  const buttons = Object.values(examples).map(({ label, text }) => {
    const button = html("button", { type: "button" }, label);
    button.addEventListener("click", () => { area.value = text; take(text); });
    return button;
  });
  const chosen = html("div", { class: "beside" }, html("span", {}, "Or try:"), ...buttons);
  const pasting = html("label", {}, html("span", {}, "Paste a table of runs, or drop a file here"), area);
  const root = html("div", { class: "inbox" }, pasting, html("label", { class: "file" }, html("span", {}, "or open a file"), file), chosen);
  for (const [event, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    root.addEventListener(event, (happened) => {
      happened.preventDefault();
      root.classList.toggle("over", over);
      const [one] = (event === "drop" && happened.dataTransfer.files) || [];
      if (one) open(one);
      else if (event === "drop") { area.value = happened.dataTransfer.getData("text/plain"); take(area.value); }
    });
  }
  return { root, area };
}

/** Two menus for each letter: the column that it is taken from, and the unit of that. */
function columnMenus(units, change) {
  const asked = { columns: {}, units: {}, lossUnit: "" }, places = {};
  const menu = (label, write) => {
    const select = html("select", { "aria-label": label });
    select.addEventListener("change", () => { write(select.value); change(); });
    return select;
  };
  const rows = Object.entries(LETTERS).map(([letter, what]) => {
    const column = menu(`column of ${what}`, (value) => { asked.columns[letter] = value; });
    const unit = menu(`unit of ${what}`, (value) => { if (letter === "L") asked.lossUnit = value; else asked.units[letter] = Number(value) || 0; });
    unit.append(...[["", "unit by its name"], ...(letter === "L" ? units.loss : units[letter])].map(([value, label]) => html("option", { value }, label)));
    places[letter] = { column, unit };
    return html("div", { class: "beside" }, html("span", {}, what), column, unit);
  });
  const forget = () => { Object.assign(asked, { columns: {}, units: {}, lossUnit: "" }); for (const { unit } of Object.values(places)) unit.value = ""; };
  const offer = (header, taken = {}) => {
    for (const [letter, { column }] of Object.entries(places)) {
      const byName = taken[letter] && !asked.columns[letter] ? `by its name: ${taken[letter]}` : "by its name", none = letter === "L" ? [] : [["none", "none"]];
      const options = [["", byName], ...none, ...header.map((name) => [name, name])];
      column.replaceChildren(...options.map(([value, label]) => html("option", { value }, label)));
      column.value = header.includes(asked.columns[letter]) || asked.columns[letter] === "none" ? asked.columns[letter] : "";
    }
  };
  offer([]);
  return { root: html("details", { class: "columns" }, html("summary", {}, "Columns and units"), ...rows), asked, forget, offer };
}

/** A field for a budget, such as 1e21; `write` fills it. */
function budgetField(change) {
  const input = html("input", { type: "text", inputmode: "decimal", "aria-label": "compute budget C in FLOPs" });
  input.addEventListener("input", () => change(Number(input.value.replace(/\s|_/g, "")), true));
  const write = (C) => { input.value = C.toExponential().replace("e+", "e"); change(C, false); };
  return { root: html("label", {}, html("span", {}, "budget C, FLOPs"), input), write };
}

/** The refits of a fit in a worker: `tell` hears {done}, {cloud} or {refused}. Returns what stops it. */
function refitted(url, engine, task, tell) {
  const here = () => { // where a browser starts no worker of a page from disk: the page waits
    try {
      tell({ cloud: engine.refits(engine.fit(task.law, task.points, task.delta), task.n, task.seed) });
    } catch (error) {
      tell({ refused: error.message });
    }
  };
  try {
    const worker = new Worker(url); // no module: from disk a browser starts none
    worker.onmessage = ({ data }) => { tell(data); if (!("done" in data)) worker.terminate(); };
    worker.onerror = () => { worker.terminate(); here(); };
    worker.postMessage(task);
    return () => worker.terminate();
  } catch {
    here();
    return () => {};
  }
}

// ---- What is said ----

const BROKEN = { ill_conditioned: "not certified, ill conditioned", not_certified: "not certified", at_bound: "at bound" };

/** Estimates with their intervals, as a table. */
function parameterTable({ law, theta }, ends) {
  const [a, b] = law.exponents(theta), greek = { alpha: "α", beta: "β" };
  const rows = [...law.parameters.map((name, j) => [name, theta[j]]), ["a", a], ["b", b]].map(([name, value]) => {
    const what = { a: "a, of N_opt ∝ Cᵃ", b: "b, of D_opt ∝ Cᵇ" }[name] ?? greek[name] ?? name;
    return html("tr", {}, html("th", { scope: "row" }, what), html("td", {}, words(value, 5)), html("td", {}, ends ? between(ends[name], 4) : "none"));
  });
  const head = html("tr", {}, ...["parameter", "estimate", "95% interval"].map((text) => html("th", { scope: "col" }, text)));
  return html("table", {}, html("caption", {}, law.formula), html("thead", {}, head), html("tbody", {}, ...rows));
}

/** What the law asks for at a budget, or why it is not to be asked. */
function planWords(engine, { found, read, cloud }, C) {
  if (!(C > 0 && Number.isFinite(C))) return [line("Give the budget as a number above zero, such as 1e21.", "warning")];
  if (found.status !== "ok" && found.status !== "misfit") return [line(`No plan: the fit is ${BROKEN[found.status]}: ${found.message}.`, "warning")];
  const best = found.law.optimum(found.theta, C), ends = cloud ? engine.optimumIntervals(found, cloud, C) : null;
  const of = (name, digits) => `${words(best[name], digits)}${ends ? ` (95%: ${between(ends[name], digits)})` : ""}`;
  const plan = `N_opt = ${of("N", 3)} parameters, D_opt = ${of("D", 3)} tokens, ${words(best.D / best.N)} per parameter`;
  const out = [line(`At ${words(C)} FLOPs: ${plan}; loss ${of("loss", 4)} ${read.unit}.`)];
  const reach = C / Math.max(...read.points.C);
  if (found.status === "misfit") out.unshift(line("The law does not fit these runs: the intervals below are for noise alone, and the best size may lie outside of them.", "warning"));
  if (reach > 1.001) out.push(line(`That is ${words(reach)} times the compute of the largest run: an extrapolation.`));
  return out;
}

/** Certificate, lack of fit and doubts, a sentence each. */
function verdictLines(engine, { found, read }) {
  const lack = found.lack ? engine.lackWords(found.lack) : "not tested: too few points, or residuals are round-off";
  const [gradient, decrement] = [found.gradientNorm, found.decrement].map((value) => value.toExponential(1));
  const starts = `${found.nAgree} of ${found.nStarts} starts reached this optimum`;
  const certificate = `gradient ${gradient}, Newton decrement ${decrement}, condition ${words(found.condition)}; ${starts}`;
  const facts = [["law or noise", lack], ["residuals", `rms of ln L − ln f ${words(found.rms)}, Huber's threshold ${words(found.delta)}`], ["certificate", certificate]];
  const list = html("dl", {}, ...facts.flatMap(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]));
  const items = [...read.warnings, ...engine.doubts(found)].map((text) => html("li", {}, text));
  return items.length ? [list, html("ul", { class: "doubts", "aria-label": "What to distrust" }, ...items)] : [list];
}

// ---- What is drawn ----

const ends = (values, by) => ({ low: Math.min(...values) / by, high: Math.max(...values) * by, log: true });

function lossAxis(values) {
  const low = Math.min(...values), high = Math.max(...values), rim = 0.08 * (high - low);
  return { label: "loss", low: low - rim, high: high + rim };
}

/** Runs by compute, and the best loss that the law has for each. */
function drawRuns(picture, { found, read: { points } }) {
  const x = { label: "C (FLOPs)", ...ends(points.C, 1.5) }, best = spread(x.low, x.high, 61, true).map((C) => [C, found.law.optimum(found.theta, C).loss]);
  picture.draw(x, lossAxis([...points.L]), [
    { dots: points.C.map((C, i) => [C, points.L[i]]), kind: 0, size: 3, label: "runs" },
    { line: best, kind: 1, label: "the law, best size for each C" },
  ]);
}

/** By how much the runs lie off the law, along N, D or C. */
function drawResiduals(picture, { found, read: { points } }, r, letter) {
  const off = [...r].map((value) => 100 * value), most = 1.15 * Math.max(...off.map(Math.abs)), limit = 100 * found.delta;
  const cut = limit < most ? [{ across: limit, kind: 2, dashed: true, label: "Huber's threshold" }, { across: -limit, kind: 2, dashed: true }] : [];
  const x = { label: { N: "N (parameters)", D: "D (tokens)", C: "C (FLOPs)" }[letter], ...ends(points[letter], 1.5) };
  const dots = points[letter].map((value, i) => [value, off[i]]);
  picture.draw(x, { label: "ln L − ln f (%)", low: -most, high: most }, [{ across: 0, kind: 1, label: "the law" }, ...cut, { dots, kind: 0, size: 3, label: "runs" }]);
}

/** The parabola of each budget and its minimum. */
function drawValleys(picture, { budgets }) {
  const sizes = budgets.flatMap(({ N }) => N), losses = budgets.flatMap(({ L }) => L), few = budgets.length <= 8;
  const shapes = budgets.flatMap(({ C, N, L, ofN, refused, N_opt, L_opt }, kind) => [
    { dots: N.map((size, i) => [size, L[i]]), kind: kind % 6, size: 3, label: few ? `${words(C, 2)} FLOPs` : undefined },
    ...(ofN ? [{ line: spread(Math.min(...N), Math.max(...N), 41, true).map((size) => [size, ofN.line(size)]), kind: kind % 6, faint: Boolean(refused) }] : []),
    ...(refused ? [] : [{ dots: [[N_opt, L_opt]], kind: kind % 6, size: 6 }]),
  ]);
  picture.draw({ label: "N (parameters)", ...ends(sizes, 1.3) }, lossAxis(losses), shapes);
}

/** The best size by compute: the law with its interval, and the minima of the parabolas. */
function drawSizes(picture, engine, { found, read: { points }, cloud, valleys }, C) {
  const reach = C > 0 && Number.isFinite(C) ? [...points.C, C] : points.C, x = { label: "C (FLOPs)", ...ends(reach, 1.5) }, budgets = spread(x.low, x.high, 25, true);
  const size = (budget) => found.law.optimum(found.theta, budget).N;
  const minima = (valleys?.budgets ?? []).filter(({ refused }) => !refused).map((budget) => [budget.C, budget.N_opt]);
  const usable = ["ok", "misfit"].includes(found.status), band = usable && cloud ? budgets.map((budget) => [budget, engine.optimumIntervals(found, cloud, budget).N]) : [];
  const all = [...budgets.map(size), ...minima.map(([, N]) => N), ...band.flatMap(([, own]) => own)].filter((value) => value > 0 && Number.isFinite(value));
  const edge = (end) => ({ line: band.map(([budget, own]) => [budget, own[end]]), kind: 0, dashed: true, label: end ? undefined : "95% interval" });
  const y = ends(all.length ? all : [1, 10], 1.3), wider = Math.max(1, Math.sqrt((1000 * y.low) / y.high)); // three decades, so that ticks are short
  picture.draw(x, { label: "N_opt (parameters)", log: true, low: y.low / wider, high: y.high * wider }, [
    ...(usable ? [{ line: budgets.map((budget) => [budget, size(budget)]), kind: 0, label: "the law" }] : []),
    ...(band.length ? [0, 1].map(edge) : []),
    ...(minima.length ? [{ dots: minima, kind: 1, label: "minima of the parabolas" }] : []),
    ...(usable && C > 0 ? [{ dots: [[C, size(C)]], kind: 3, size: 6, label: "your budget" }] : []),
  ]);
}

/** The optima of budgets in words. */
function valleyLines({ budgets, law }) {
  const items = budgets.map(({ C, refused, N_opt, N_error, L_opt, status }) => {
    const error = Number.isFinite(N_error) ? ` ± ${words(100 * N_error, 2)}%` : "";
    return html("li", {}, `C ${words(C)}: ${refused ?? `N_opt ${words(N_opt)}${error}, loss ${words(L_opt, 4)}${status === "ok" ? "" : `, ${status}`}`}`);
  });
  const through = law ? `Through the minima: N_opt ∝ Cᵃ with a = ${words(law.a)}, D_opt ∝ Cᵇ with b = ${words(law.b)}.` : "Fewer than two budgets have a minimum: no line through them.";
  return [line(through), html("details", {}, html("summary", {}, `The ${budgets.length} budgets`), html("ul", {}, ...items))];
}

// ---- The page ----

const figure = (picture, caption, ...more) => html("figure", {}, html("figcaption", {}, caption), picture.legend, picture.root, ...more);

/** The places of the page, and what is drawn and said in them. */
function places() {
  const make = (kind, more = {}) => html("div", { class: kind, ...more });
  const pictures = {
    runs: chart("Loss against compute, logarithmic: a dot for each run, and below them the line of the law's best loss."),
    residuals: chart("How far each run lies off the law in percent, around a line at zero."),
    valleys: chart("Loss against parameters, a parabola through the runs of each budget, with its lowest point."),
    sizes: chart("Best size against compute, both logarithmic: the law's line between the two lines of its interval."),
  };
  return {
    pictures, alarm: make("alarm", { role: "alert" }), read: make("read"), status: line("", "says"), refits: make("refits"),
    table: make("numbers"), plan: make("plan", { role: "status", "aria-live": "polite" }), verdict: make("verdict-lines"), valleys: make("valleys"), file: make("beside"),
  };
}

async function render({ model, el }) {
  const { engine: source, examples, units } = model.get("data"), of = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const engine = await import(of(source)), url = of(source.replace(/^export .*$/m, "")), at = places(), now = { text: "", letter: "C", stop: () => {} };
  const menus = columnMenus(units, () => take(now.text));
  const box = inbox(examples, (text, trouble) => take(text, trouble, true));

  /** Read and fit a text; what cannot be read or fitted changes nothing that is shown. */
  function take(text, trouble, fresh = false) {
    const header = namesIn(engine, text);
    if (fresh && header.join() !== now.header?.join()) menus.forget(); // another table: what was said of the last is not of this
    if (!trouble) Object.assign(now, { header, text });
    if (!trouble && !text?.trim()) return at.alarm.replaceChildren();
    return guarded(() => {
      if (trouble) throw new Error(trouble);
      const read = engine.readTable(text, menus.asked);
      menus.offer(read.header, read.taken);
      refit(read);
      at.read.replaceChildren(...read.notes.map((note) => line(note)));
    });
  }

  function guarded(work) {
    try {
      work();
      at.alarm.replaceChildren();
    } catch (error) {
      if (!now.found) menus.root.open = true;
      menus.offer(now.header ?? []);
      at.alarm.replaceChildren(line(error.message), ...(now.found ? [line("Below stands the last table that could be fitted.")] : []));
    }
  }

  function refit(read) {
    const task = { law: model.get("law"), points: read.points, delta: DELTAS[model.get("delta")], n: REFITS, seed: SEED };
    const began = performance.now(), found = engine.fit(task.law, task.points, task.delta);
    el.dataset.ms = (performance.now() - began).toFixed(1);
    now.stop();
    Object.assign(now, { read, found, cloud: null, ends: null, r: engine.residuals(found.problem, found.u), valleys: engine.isoflops({ ...read.points, C: read.C }) });
    if (!now.asked) field.write(Number(`1e${Math.round(1 + Math.log10(Math.max(...read.points.C)))}`));
    resample(task);
    show();
  }

  function resample(task) {
    try {
      engine.resampling(now.found);
    } catch (error) {
      now.stop = () => {};
      return at.refits.replaceChildren(line(`No intervals: ${error.message}.`, "warning"));
    }
    const bar = html("progress", { max: task.n, value: 0, "aria-label": "refits of resampled runs" });
    const count = html("span", {}, `0 of ${task.n} refits`), stop = html("button", { type: "button" }, "Stop");
    at.refits.replaceChildren(html("div", { class: "beside" }, bar, count, stop));
    const end = refitted(url, engine, task, (news) => {
      if ("done" in news) { bar.value = news.done; count.textContent = `${news.done} of ${task.n} refits`; return; }
      Object.assign(now, news.cloud ? { cloud: news.cloud, ends: engine.intervals(now.found, news.cloud) } : {});
      at.refits.replaceChildren(line(news.cloud ? drawnWords(engine, news.cloud) : `No intervals: ${news.refused}.`));
      show();
    });
    now.stop = end;
    stop.addEventListener("click", () => { end(); at.refits.replaceChildren(line("Stopped: no intervals.")); });
    return undefined;
  }

  function show() {
    const { found, read, valleys } = now, C = model.get("C");
    root.hidden = false;
    at.status.textContent = `${read.points.L.length} runs, ${found.law.name}: ${found.status.replaceAll("_", " ")}: ${found.message}.`;
    at.table.replaceChildren(parameterTable(found, now.ends));
    at.verdict.replaceChildren(...verdictLines(engine, now));
    at.valleys.hidden = !valleys;
    const minima = (valleys?.budgets ?? []).some(({ refused }) => !refused);
    drawn[0].hidden = !["ok", "misfit"].includes(found.status) && !minima; // there is no best size to draw
    if (valleys) { drawValleys(at.pictures.valleys, valleys); notes.replaceChildren(...valleyLines(valleys)); }
    drawRuns(at.pictures.runs, now);
    drawResiduals(at.pictures.residuals, now, now.r, now.letter);
    budget();
    el.dataset.shown = `${found.law.name} ${found.status} ${now.cloud ? "intervals" : "alone"} ${C}`;
  }

  function budget() {
    at.plan.replaceChildren(...planWords(engine, now, model.get("C")));
    drawSizes(at.pictures.sizes, engine, now, model.get("C"));
  }

  const field = budgetField((C, asked) => { now.asked ||= asked; set("C", C); if (now.found && asked) budget(); });
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  const again = (name) => (value) => { set(name, value); if (now.read) guarded(() => refit(now.read)); };
  const turned = [
    ["law", "law", [["chinchilla", "the sum"], ["coupled", "coupled: one bracket"]]],
    ["delta", "residuals beyond", [["noise", "1.345 σ count less"], ["0.001", "0.001 count less (2022)"], ["inf", "none: least squares"]]],
  ].map(([name, label, options]) => choice({ label, options }, () => model.get(name), again(name)));
  const along = choice({ label: "against", options: [..."CND"].map((letter) => [letter, letter]) }, () => now.letter, (letter) => {
    now.letter = letter;
    drawResiduals(at.pictures.residuals, now, now.r, letter);
  });
  for (const option of [...turned, along]) option.read();
  const notes = html("div", {}), form = html("form", { class: "controls", "aria-label": "Law and budget" }, ...turned.map(({ root: own }) => own), field.root);
  form.addEventListener("submit", (event) => event.preventDefault());
  at.valleys.append(figure(at.pictures.valleys, "One parabola for each budget", notes));
  at.file.append(downloadButton(() => engine.record(now.found, now.read, now.cloud, now.ends)));
  const figures = [["sizes", "The best size by compute"], ["runs", "Runs and law"], ["residuals", "What the law leaves", along.root]];
  const drawn = figures.map(([name, ...more]) => figure(at.pictures[name], ...more));
  const root = html("div", { class: "results", hidden: "" }, at.read, form, at.status, at.refits, at.plan, at.table, at.verdict, ...drawn, at.valleys, at.file);
  if (model.get("C") > 0) { now.asked = true; field.write(model.get("C")); }
  el.classList.add("view", "yours");
  el.append(html("p", { class: "title" }, "Your runs"), line(PRIVATE, "private"), box.root, at.alarm, menus.root, root);
  for (const control of el.querySelectorAll("input, select, button, textarea")) control.dataset.lmSuppressShortcuts = "true";
}

/** The names of a table that could not be read whole, to choose among. */
function namesIn(engine, text) {
  try { return engine.headerOf(text ?? ""); } catch { return []; }
}

/** How the intervals were made, in words. */
function drawnWords(engine, cloud) {
  const what = { rows: "runs", clusters: `${cloud.drawn} cells of equal N and D`, sized: "residuals, whose size may follow the loss" }[cloud.how];
  const wider = cloud.widened === 1 ? [] : [`widened by ${words(cloud.widened)} for few runs`], trouble = engine.cloudMessage(cloud);
  return `${[`Intervals of 95% from ${cloud.n} refits of resampled ${what}`, ...wider].join(", ")}${trouble ? `; ${trouble}` : ""}.`;
}

/** A button that gives the fit as a file. */
function downloadButton(make) {
  const button = html("button", { type: "button" }, "Download fit.json");
  button.addEventListener("click", () => {
    const href = URL.createObjectURL(new Blob([JSON.stringify(make())], { type: "application/json" }));
    html("a", { href, download: "fit.json" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  });
  return button;
}

export default { render };
