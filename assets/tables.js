// Of a table whose cells are stacked on a phone the heads are hidden: each cell is told its own, which book.css shows.
addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.stacked")) {
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());
    const cells = [...table.tBodies[0].rows].flatMap((row) => [...row.cells]);
    for (const cell of cells) if (cell.textContent.trim()) cell.dataset.head = `${heads[cell.cellIndex]}: `;
  }
});
