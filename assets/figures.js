// On a phone a figure is half as wide as it was drawn: a tap shows it in full, to be moved sideways, and another folds it.
addEventListener("DOMContentLoaded", () => {
  if (!matchMedia("(max-width: 600px)").matches) return;
  for (const picture of document.querySelectorAll("article .cell_output img")) {
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
});
