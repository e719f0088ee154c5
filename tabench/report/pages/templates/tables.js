// Sorting: a heading's button orders the rows below it; empty values stay last.
const sorting = (table) => {
  const body = table.tBodies[0];
  const headings = [...table.tHead.querySelectorAll("th")].filter((th) => th.scope === "col");
  // in a two-line head some headings span both lines, others stand below their group
  const [top, below] = table.tHead.rows;
  const lower = below ? [...below.cells] : [];
  const order = [...top.cells].flatMap((th) => (below && th.rowSpan === 1 ? lower.splice(0, th.colSpan) : [th]));
  const place = (heading) => order.indexOf(heading);
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
};
// Filtering: rows stay that hold every word typed.
const filtering = (table) => {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 4) return;
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("output");
  label.className = "filter";
  field.type = "search";
  count.setAttribute("aria-live", "polite");
  label.append("Filter rows ", field, count);
  const box = table.closest(".scroll") || table;
  box.before(label);
  const texts = rows.map((row) => row.textContent.toLowerCase().replace(/\s+/g, " "));
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    rows.forEach((row, at) => {
      row.hidden = !words.every((word) => texts[at].includes(word));
      left += row.hidden ? 0 : 1;
    });
    count.textContent = words.length ? ` ${left} of ${rows.length}` : "";
  });
};
addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    filtering(table);
    sorting(table);
  }
});
addEventListener("click", (event) => {
  const card = event.target.closest(".values a") && event.target.closest("[popover]");
  if (card && card.hidePopover) card.hidePopover();
});
