"use strict";
// Sorting: a heading's button orders the rows below it; empty values stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.querySelectorAll("th")].filter((th) => th.scope === "col");
  const place = (heading) => {
    // in a two-line head the headings that span both lines stand at the ends of the row
    const lines = [...table.tHead.rows];
    if (lines.length === 1) return heading.cellIndex;
    if (heading.parentNode === lines[1]) return heading.cellIndex + 1;
    return heading.cellIndex === 0 ? 0 : body.rows[0].cells.length - 1;
  };
  for (const heading of headings) {
    const button = heading.querySelector("button");
    if (!button) continue;
    button.addEventListener("click", () => {
      // the first click puts the best value on top
      const before = heading.getAttribute("aria-sort");
      const down = before === "none" ? heading.dataset.from === "top" : before === "ascending";
      for (const other of headings) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const at = place(heading);
      const value = (row) => {
        const text = row.cells[at].dataset.value;
        return text === undefined ? NaN : Number(text);
      };
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return down ? y - x : x - y;
      });
      body.append(...rows);
    });
  }
}
// A link to a run opens it.
const open = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  const run = id && document.getElementById(id);
  if (run instanceof HTMLDetailsElement) {
    run.open = true;
    run.scrollIntoView();
  }
};
for (const link of document.querySelectorAll(".values a")) {
  link.addEventListener("click", () => {
    const card = link.closest("[popover]");
    if (card && card.hidePopover) card.hidePopover();
    setTimeout(open);
  });
}
addEventListener("hashchange", open);
open();
