// On a phone a displayed formula that is too wide is broken where its parts meet, and what is still too wide is set
// smaller: nothing has to be moved sideways.
(() => {
  const narrow = matchMedia("screen and (max-width: 600px)");
  const TOKEN = /\\[a-zA-Z]+|\\.|[^]/g;
  const RELATIONS = ["=", "\\approx", "\\propto", "\\leftarrow"];
  const SMALLER = 1.12; // up to here a smaller size reads better than a break
  const changed = new Map(); // a formula, and its TeX as it was
  addEventListener("DOMContentLoaded", () => {
    window.MathJax?.startup?.promise.then(() => {
      fitAll(document);
      narrow.addEventListener("change", () => (restore(), fitAll(document))); // a phone that is turned
      document.addEventListener("toggle", (event) => fitAll(event.target), true); // what was folded had no width
    });
  });

  function fitAll(root) {
    if (!narrow.matches) return;
    for (const box of root.querySelectorAll("div.math")) fit(box);
  }

  function fit(box) {
    const [item] = MathJax.startup.document.getMathItemsWithin([box]);
    if (!item || tooWide(box) <= 1) return;
    changed.set(box, item.math);
    for (let level = 1; tooWide(box) > SMALLER && level <= 4; level++) set(box, broken(changed.get(box), level));
    if (tooWide(box) > 1) box.style.fontSize = `${98 / tooWide(box)}%`;
  }

  function restore() {
    for (const [box, tex] of changed) {
      box.style.fontSize = "";
      set(box, tex);
    }
    changed.clear();
  }

  function tooWide(box) {
    const formula = box.querySelector("mjx-container");
    return formula.scrollWidth / (formula.clientWidth || Infinity);
  }

  function set(box, tex) {
    MathJax.typesetClear([box]);
    box.querySelector("mjx-container").replaceWith(`\\[${tex}\\]`);
    MathJax.typeset([box]);
  }

  // Level 1 breaks at wide spaces, 2 also at the next smaller ones, 3 before relations, 4 before plus and minus; never
  // inside of braces or brackets that grow, and never soon after the last break.
  function broken(tex, level) {
    const aligned = tex.includes("\\begin{aligned}");
    const newRow = aligned ? "\\\\[0.3em] & " : "\\\\[0.3em] ";
    let depth = 0, long = 0, before = "", after = !aligned, out = "";
    for (const [token] of tex.matchAll(TOKEN)) {
      if (token === "{" || token === "\\left") depth++;
      if (token === "}" || token === "\\right") depth--;
      const space = token === "\\qquad" ? level >= 1 : token === "\\quad" && level >= 2;
      const sign = (level >= 3 && RELATIONS.includes(token) && long > 8) || (level >= 4 && "+-".includes(token) && long > 12);
      if (depth === 0 && after && ((space && long > 5 && before !== "\\Longrightarrow") || (sign && before !== "&"))) {
        out += newRow + (space ? "" : token);
        long = 0;
      } else out += token;
      if (token === "\\\\" || token === "&") [long, after] = [0, !aligned || token === "&"];
      else if (!/[\s{}^_]|\\[,;! ]|\\(quad|qquad|left|right|text|begin|end)$/.test(token)) long++;
      if (token.trim()) before = token;
    }
    return aligned || tex.includes("\\begin{gathered}") ? out : `\\begin{gathered}${out}\\end{gathered}`;
  }
})();
