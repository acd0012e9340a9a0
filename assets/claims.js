// The page of claims: filter by verdict, kind, chapter and section, and sort. Without JavaScript all of them are shown.
addEventListener("DOMContentLoaded", () => {
  const claims = [...document.querySelectorAll("ul.claims .claim[data-chapter]")];
  const place = document.getElementById("filter-claims");
  if (!place || !claims.length) return;
  const lists = [...new Set(claims.map((claim) => claim.parentElement))];
  const homes = new Map(claims.map((claim) => [claim, claim.parentElement]));
  const all = Object.assign(document.createElement("ul"), { className: "claims", hidden: true });
  all.setAttribute("aria-label", "Claims, sorted");
  const said = Object.assign(document.createElement("p"), { className: "says" });
  said.setAttribute("role", "status");
  const names = { verdict: "Verdict", kind: "Evidence", chapter: "Chapter", section: "Section of the lecture" };
  const number = (text) => parseFloat(text) || 0;
  const inOrder = (a, b) => number(a) - number(b) || a.localeCompare(b);

  const menu = (label, options) => {
    const root = document.createElement("label"), select = document.createElement("select");
    select.append(...options.map(([value, text]) => new Option(text, value)));
    select.addEventListener("change", refresh);
    root.append(Object.assign(document.createElement("span"), { textContent: label }), select);
    place.append(root);
    return select;
  };
  const filters = Object.entries(names).map(([key, label]) => {
    const values = [...new Set(claims.map((claim) => claim.dataset[key]))].sort(inOrder);
    return [key, menu(label, [["", "all"], ...values.map((value) => [value, value || "none"])])];
  });
  const sort = menu("Sort by", [["", "place in the book"], ["verdict", "verdict"], ["kind", "evidence"], ["section", "section"]]);
  place.append(said);

  function refresh() {
    const shown = claims.filter((claim) => filters.every(([key, select]) => !select.value || claim.dataset[key] === select.value));
    for (const claim of claims) claim.hidden = !shown.includes(claim);
    all.hidden = !sort.value;
    const sorted = sort.value ? [...claims].sort((a, b) => inOrder(a.dataset[sort.value], b.dataset[sort.value])) : claims;
    for (const claim of sorted) (sort.value ? all : homes.get(claim)).append(claim);
    for (const list of lists) list.closest("section").hidden = !list.querySelector(".claim:not([hidden])");
    said.textContent = `${shown.length} of ${claims.length} claims`;
  }

  place.after(all);
  refresh();
});
