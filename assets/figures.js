// On a phone a figure is half as wide as it was drawn. Panels in a row are stacked, each as wide as the page (the build
// writes into the image where they part); any other figure shows itself in full at a tap, to be moved sideways.
(() => {
  const narrow = matchMedia("screen and (max-width: 600px)");
  const WIDEST = 1.35; // how much larger the words of one panel may be than those of another
  const SIDES = /\b(left)(?=[:,)]| and middle| panel| with)|(?<=^ ?|[.;:(] |\(|and )(right)(?=[:,)])/gi; // in a caption
  const STACKED = { left: "top", Left: "Top", right: "bottom", Right: "Bottom" };
  let arranged = []; // a picture, and what stands in its place
  let captions = []; // words of captions, and what they say of panels side by side
  addEventListener("DOMContentLoaded", () => {
    arrange();
    narrow.addEventListener("change", arrange); // a phone that is turned
  });

  function arrange() {
    for (const [picture, places] of arranged) {
      places[0].before(picture);
      for (const place of places) place.remove();
    }
    for (const [words, beside] of captions) words.data = beside;
    captions = [];
    const pictures = narrow.matches ? [...document.querySelectorAll("article .cell_output img")] : [];
    arranged = pictures.map((picture) => [picture, picture.dataset.cuts ? stack(picture) : enlargeable(picture)]);
  }

  function stack(picture) {
    const edges = [0, ...picture.dataset.cuts.split(" ").map(Number), 1];
    const shares = edges.slice(1).map((to, i) => to - edges[i]);
    reword(picture.closest("figure"));
    const panels = shares.map((share, i) => {
      const copy = picture.cloneNode();
      if (i) copy.alt = `Panel ${i + 1} of the same figure.`;
      copy.style.cssText = `max-width: none; width: ${100 / share}%; margin-left: ${(-100 * edges[i]) / share}%`;
      const panel = Object.assign(document.createElement("div"), { className: "panel" });
      panel.style.maxWidth = `${(100 * WIDEST * share) / Math.max(...shares)}%`;
      panel.append(copy);
      return panel;
    });
    picture.replaceWith(...panels);
    return panels;
  }

  function reword(figure) {
    const texts = document.createTreeWalker(figure?.querySelector("figcaption .caption-text") ?? document.createElement("p"), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const words = texts.currentNode;
      captions.push([words, words.data]);
      words.data = words.data.replace(SIDES, (side) => STACKED[side]);
    }
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
    return [frame];
  }
})();
