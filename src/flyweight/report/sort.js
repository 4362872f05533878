"use strict";
{
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };

  // Numbers by value with unknown ones last in either direction, words by alphabet.
  const compare = (column, numeric, sign) => (a, b) => {
    if (!numeric) {
      const words = [a, b].map((row) => row.cells[column].textContent);
      return sign * words[0].localeCompare(words[1], undefined, { numeric: true });
    }
    const [x, y] = [value(a, column), value(b, column)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y);
  };

  const sort = (table, heading) => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    const numeric = heading.classList.contains("number");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.sort(compare(heading.cellIndex, numeric, ascending ? 1 : -1));
    body.append(...rows);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      heading.querySelector("button").addEventListener("click", () => sort(table, heading));
    }
  }
}
