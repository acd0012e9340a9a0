// Paper is white and cannot be clicked: while a page is printed it has the light theme, and its solutions are open. (Boxes
// that the theme folds, it opens by itself.)
(() => {
  const { dataset } = document.documentElement;
  let theme, opened;
  addEventListener("beforeprint", () => {
    theme = dataset.theme;
    dataset.theme = "light";
    opened = [...document.querySelectorAll(".tag_hide-cell details:not([open])")];
    for (const solution of opened) solution.open = true;
  });
  addEventListener("afterprint", () => {
    dataset.theme = theme;
    for (const solution of opened) solution.open = false;
  });
})();
