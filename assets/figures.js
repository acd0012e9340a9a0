// On a phone a figure is half as wide as it was drawn. Panels in a row are stacked, each as wide as the page (the build
// writes into the image where they part); any other figure shows itself in full at a tap, to be moved sideways.
addEventListener("DOMContentLoaded", () => {
  if (!matchMedia("(max-width: 600px)").matches) return;
  for (const picture of document.querySelectorAll("article .cell_output img")) {
    if (picture.dataset.cuts) stack(picture);
    else enlargeable(picture);
  }
});

function stack(picture) {
  const edges = [0, ...picture.dataset.cuts.split(" ").map(Number), 1];
  const panels = edges.slice(1).map((to, i) => {
    const share = to - edges[i];
    const copy = picture.cloneNode();
    if (i) copy.alt = `Panel ${i + 1} of the same figure.`;
    copy.style.cssText = `max-width: none; width: ${100 / share}%; margin-left: ${(-100 * edges[i]) / share}%`;
    const panel = Object.assign(document.createElement("div"), { className: "panel" });
    panel.append(copy);
    return panel;
  });
  picture.replaceWith(...panels);
}

function enlargeable(picture) {
  const button = Object.assign(document.createElement("button"), { className: "enlarge", type: "button" });
  const frame = Object.assign(document.createElement("div"), { className: "enlarge-frame" });
  button.setAttribute("aria-pressed", "false");
  picture.replaceWith(frame);
  frame.append(button);
  button.append(picture);
  button.addEventListener("click", (event) => {
    const share = event.clientX / innerWidth;
    const large = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", large);
    frame.scrollLeft = (frame.scrollWidth - frame.clientWidth) * (event.detail ? share : 0); // detail 0: a key
  });
}
