// Sorts the table of recordings by the column whose header is pressed; empty values are last.

const table = document.getElementById("recordings");
const body = table?.tBodies[0];
const headers = Array.from(table?.tHead.rows[0].cells ?? []);  // none where all inputs failed
const collator = new Intl.Collator(undefined, { numeric: true });

function compare(a, b) {
  const x = Number(a), y = Number(b);
  return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
}

function sort(column, isDescending) {
  const rows = Array.from(body.rows).map((row) => [row.cells[column].dataset.value, row]);
  rows.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return isDescending ? compare(b, a) : compare(a, b);
  });
  body.append(...rows.map(([, row]) => row));
  headers.forEach((header, index) => {
    header.setAttribute("aria-sort", index !== column ? "none" : isDescending ? "descending" : "ascending");
  });
}

headers.forEach((header, column) => {
  header.querySelector("button").addEventListener("click", () => {
    sort(column, header.getAttribute("aria-sort") === "ascending");
  });
});
