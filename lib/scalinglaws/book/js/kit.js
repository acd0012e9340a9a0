// What every view shares: a chart in SVG, sliders and choices bound to a model, words for numbers.
// Colors come from the page (currentColor) and the book's palette; see kit.css.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = globalThis.innerWidth < 520 ? 420 : 640, HEIGHT = 340, LEFT = 72, RIGHT = 14, TOP = 14, BOTTOM = 46;

/** An HTML element with attributes and children. */
function html(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** An SVG element with attributes and text. */
function svg(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const raised = (power) => (power < 0 ? "⁻" : "") + [...String(Math.abs(power))].map((d) => DIGITS[d]).join("");

/** A number as the book prints it: three digits, a true minus, powers of ten beyond 10⁵ and below 10⁻³. */
function words(value, digits = 3) {
  if (!Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e5 || size < 1e-3)) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    return `${Number(mantissa)}\u00a0×\u00a010${raised(Number(power))}`.replace("-", "−");
  }
  return Number(value.toPrecision(digits)).toLocaleString("en-US", { maximumFractionDigits: 6 }).replace("-", "−");
}

/** Round values for the ticks of an axis: decades on a logarithmic one, else steps of 1, 2 or 5. */
function ticks({ low, high, log }) {
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first) / 7));
    const decades = [];
    for (let k = first; k <= last; k += every) decades.push(10 ** k);
    if (decades.length >= 3) return decades;
    const some = [];
    for (let k = first - 1; k <= last + 1; k++) for (const m of high / low > 20 ? [1, 3] : [1, 2, 5]) some.push(m * 10 ** k);
    const inside = some.filter((v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
    if (inside.length >= 2) return inside;
  }
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const round = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-12); k++) round.push(k * step);
  return round;
}

/**
 * A chart that can be drawn again and again. Axes are {label, low, high, log}; `draw` takes shapes
 * {line: [[x, y], ...]}, {dots: [[x, y], ...]}, {across: y} or {down: x}, each with kind (a color, 0 to 5), label, dashed.
 */
function chart(describe) {
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describe });
  const legend = html("ul", { class: "legend" }); // above the chart, where no line can run through it
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  const place = (axis, from, to) => (value) => {
    const [v, low, high] = axis.log ? [value, axis.low, axis.high].map(Math.log) : [value, axis.low, axis.high];
    return from + ((v - low) / (high - low)) * (to - from);
  };

  function frame(x, y, sx, sy) {
    const grid = svg("g", { class: "grid" });
    for (const value of ticks(x)) {
      grid.append(svg("line", { x1: sx(value), x2: sx(value), y1: TOP, y2: HEIGHT - BOTTOM }));
      const last = sx(value) > WIDTH - RIGHT - 20; // its label would run out of the picture
      grid.append(svg("text", { x: last ? WIDTH - 1 : sx(value), y: HEIGHT - BOTTOM + 18, "text-anchor": last ? "end" : "middle" }, tick(value, x)));
    }
    for (const value of ticks(y)) {
      grid.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: sy(value), y2: sy(value) }));
      grid.append(svg("text", { x: LEFT - 7, y: sy(value) + 4, "text-anchor": "end" }, tick(value, y)));
    }
    const middle = (TOP + HEIGHT - BOTTOM) / 2;
    grid.append(svg("text", { class: "axis", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, x.label));
    grid.append(svg("text", { class: "axis", x: 0, y: 0, "text-anchor": "middle", transform: `translate(14 ${middle}) rotate(-90)` }, y.label));
    return grid;
  }

  function tick(value, axis) {
    const power = Math.log10(Math.abs(value));
    const decades = axis.log && axis.high / axis.low >= 1000; // else 1,000 stands between 300 and 3,000
    if (decades && Math.abs(power - Math.round(power)) < 1e-9 && Math.abs(power) >= 3) return `10${raised(Math.round(power))}`;
    return words(value);
  }

  function draw(x, y, shapes) {
    const sx = place(x, LEFT, WIDTH - RIGHT), sy = place(y, HEIGHT - BOTTOM, TOP);
    const inside = svg("g", { "clip-path": `url(#${clip})` });
    const entries = [];
    for (const shape of shapes) {
      const look = { class: `kind-${shape.kind ?? 0}${shape.dashed ? " dashed" : ""}${shape.faint ? " faint" : ""}` };
      if (shape.line) {
        const points = shape.line.filter(([u, v]) => Number.isFinite(sx(u)) && Number.isFinite(sy(v)));
        inside.append(svg("polyline", { ...look, points: points.map(([u, v]) => `${sx(u).toFixed(2)},${sy(v).toFixed(2)}`).join(" ") }));
      }
      for (const [u, v] of shape.dots ?? []) {
        inside.append(svg("circle", { ...look, cx: sx(u).toFixed(2), cy: sy(v).toFixed(2), r: shape.size ?? 4 }));
      }
      if (shape.across !== undefined) inside.append(svg("line", { ...look, x1: LEFT, x2: WIDTH - RIGHT, y1: sy(shape.across), y2: sy(shape.across) }));
      if (shape.down !== undefined) inside.append(svg("line", { ...look, x1: sx(shape.down), x2: sx(shape.down), y1: TOP, y2: HEIGHT - BOTTOM }));
      if (shape.label) {
        const mark = svg("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" });
        mark.append(shape.dots ? svg("circle", { ...look, cx: 12, cy: 5, r: 4 }) : svg("line", { ...look, x1: 1, x2: 23, y1: 5, y2: 5 }));
        entries.push(html("li", {}, mark, shape.label));
      }
    }
    const defs = svg("defs"), area = svg("clipPath", { id: clip });
    area.append(svg("rect", { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }));
    defs.append(area);
    root.replaceChildren(defs, frame(x, y, sx, sy), inside);
    legend.replaceChildren(...entries);
  }

  return { root, legend, draw };
}

/**
 * Put a view on the page: its chart, a control for each entry of `controls`, what it says, and a button that undoes.
 * A control is {name, label, low, high, log, step} for a slider or {name, label, options: [[value, label], ...]}.
 * `show` takes the state and returns {x, y, shapes, says}. On a page without a kernel the state is kept in the address.
 */
function view({ model, el, name, title, describe, controls, show }) {
  const initial = Object.fromEntries(controls.map((control) => [control.name, model.get(control.name)]));
  const picture = chart(describe), said = html("p", { class: "says", role: "status", "aria-live": "polite" });
  const inputs = {};
  const state = () => {
    const found = { data: model.get("data") };
    for (const control of controls) found[control.name] = model.get(control.name);
    return found;
  };

  function refresh() {
    const { x, y, shapes, says } = show(state());
    picture.draw(x, y, shapes);
    said.textContent = says;
    for (const control of controls) inputs[control.name].read();
  }

  function change(control, value) {
    model.set(control.name, value);
    model.save_changes();
    if (model.isStatic) keep();
    refresh();
  }

  const key = (control) => `${name}.${control.name}`;
  const kept = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

  function keep() {
    const all = kept();
    for (const control of controls) {
      if (model.get(control.name) === initial[control.name]) all.delete(key(control));
      else all.set(key(control), model.get(control.name));
    }
    history.replaceState(null, "", `#${all}`.replace(/^#$/, location.pathname.split("/").pop()));
  }

  function restore() {
    const all = kept();
    for (const control of controls) {
      if (!all.has(key(control))) continue;
      const text = all.get(key(control));
      const known = control.options ? control.options.some(([value]) => String(value) === text) : text !== "" && text >= control.low && text <= control.high;
      if (known) model.set(control.name, typeof initial[control.name] === "number" ? Number(text) : text);
    }
  }

  const form = html("form", { class: "controls", "aria-label": `Controls: ${title}` });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const control of controls) {
    inputs[control.name] = (control.options ? choice : slider)(control, () => model.get(control.name), (value) => change(control, value));
    form.append(inputs[control.name].root);
  }
  const reset = html("button", { type: "button" }, "Reset");
  reset.addEventListener("click", () => {
    for (const control of controls) model.set(control.name, initial[control.name]);
    model.save_changes();
    if (model.isStatic) keep();
    refresh();
  });
  form.append(reset);
  // JupyterLab would take the keys for the notebook's, and no slider would move.
  for (const control of form.querySelectorAll("input, select, button")) control.dataset.lmSuppressShortcuts = "true";
  if (model.isStatic) restore();
  el.classList.add("view");
  el.append(html("p", { class: "title" }, title), picture.legend, picture.root, form, said); // the sentence last: as it grows, no control moves
  for (const watched of ["data", ...controls.map((control) => control.name)]) model.on(`change:${watched}`, refresh);
  refresh();
}

/** A slider; on a logarithmic one each step is the same factor. */
function slider(control, read, write) {
  const { label, low, high, log } = control;
  const [from, to] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const step = control.step ?? (to - from) / 200;
  const input = html("input", { type: "range", min: from, max: to, step, "aria-label": label });
  const output = html("output", {});
  input.addEventListener("input", () => write(log ? 10 ** Number(input.value) : Number(input.value)));
  const show = () => {
    const value = read();
    input.value = log ? Math.log10(value) : value;
    output.textContent = words(value);
    input.setAttribute("aria-valuetext", words(value));
  };
  return { root: html("label", {}, html("span", {}, label), input, output), read: show };
}

/** A menu. */
function choice(control, read, write) {
  const select = html("select", { "aria-label": control.label });
  for (const [value, label] of control.options) select.append(html("option", { value }, label));
  select.addEventListener("change", () => write(typeof read() === "number" ? Number(select.value) : select.value));
  return { root: html("label", {}, html("span", {}, control.label), select, html("output", {})), read: () => (select.value = read()) };
}

/** n numbers from low to high, at equal distances or equal factors. */
function spread(low, high, n, log) {
  const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
  return Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1)).map((v) => (log ? Math.exp(v) : v));
}

/** The zero of a rising function between low and high, by bisection to the last bit. */
function zero(f, low, high) {
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (f(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** L(N, D) = E + A N^-alpha + B D^-beta, and its compute-optimal point for C = k N D (Hoffmann et al. 2022, eq. 4). */
function surface({ E, A, B, alpha, beta }) {
  const loss = (N, D) => E + A * N ** -alpha + B * D ** -beta;
  const optimum = (C, k = 6) => {
    const N = Math.exp((Math.log((alpha * A) / (beta * B)) + beta * Math.log(C / k)) / (alpha + beta));
    return { N, D: C / k / N, loss: loss(N, C / k / N) };
  };
  // The cheapest model of the loss that C would buy, once it serves tokens too: least 6 N D + 2 N D_inf on a line of equal
  // loss (Sardana et al. 2024).
  const serving = (C, served) => {
    const alone = optimum(C), reach = alone.loss - E;
    const least = Math.log(A / reach) / alpha; // below it no amount of data reaches the loss
    const data = (logN) => (B / (reach - A * Math.exp(-alpha * logN))) ** (1 / beta);
    // The cost's slope by ln N, over 2 N: 3 D (1 + d ln D / d ln N) + D_inf. It is -infinity at the least size and rises.
    const slope = (logN) => {
      const size = A * Math.exp(-alpha * logN);
      return 3 * data(logN) * (1 - (alpha * size) / (beta * (reach - size))) + served;
    };
    const logN = served > 0 ? zero(slope, least, Math.log(alone.N)) : Math.log(alone.N);
    const N = Math.exp(logN), D = served > 0 ? data(logN) : alone.D;
    const cost = 6 * N * D + 2 * N * served, plain = C + 2 * alone.N * served;
    return { N, D, loss: alone.loss, cost, saved: 1 - cost / plain, alone };
  };
  return { loss, optimum, serving };
}

/** In place of the model that a kernel would give, on a page without one: values, and what is called when they change. */
function standIn(values) {
  const heard = {};
  return {
    isStatic: true,
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; (heard[`change:${name}`] ?? []).forEach((f) => f()); },
    on: (event, f) => { (heard[event] ??= []).push(f); },
    save_changes: () => {},
  };
}
