// A table that is `sortable` is sorted by a click on a column's title.

// What a cell is sorted by: its number, else its text.
const keyOf = (cell) =>
    cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);

function compareCells(a, b) {
    const [x, y] = [keyOf(a), keyOf(b)];
    if (x === "" || y === "") return 0;
    return typeof x === "number" && typeof y === "number"
        ? x - y
        : String(x).localeCompare(String(y), "en", {numeric: true});
}

function sortBy(title) {
    const body = title.closest("table").tBodies[0];
    const isUp = title.getAttribute("aria-sort") !== "ascending";
    const isEmpty = (row) => row.cells[title.cellIndex].textContent === "";
    for (const other of title.parentNode.cells) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    const rows = [...body.rows].sort(
        (a, b) =>
            isEmpty(a) - isEmpty(b) ||
            (isUp ? 1 : -1) * compareCells(a.cells[title.cellIndex], b.cells[title.cellIndex]),
    );
    body.append(...rows);
}

document.addEventListener("click", (event) => {
    const title = event.target.closest("table.sortable th");
    if (title) sortBy(title);
});
