const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

function make(parent, tag, text = "", attributes = {}) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return parent.appendChild(element);
}

// ---- tables ------------------------------------------------------------------------------------

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

// A table of rows of cells: a text, or [text, number], or {meter}.
function addTable(host, title, head, rows) {
    const box = make(host, "div", "", {
        class: "scroll",
        tabindex: 0,
        role: "region",
        "aria-label": title,
    });
    const table = make(box, "table", "", {class: "sortable"});
    make(table, "caption", title, {class: "hidden"});
    const line = make(make(table, "thead"), "tr");
    head.forEach((word, i) => {
        const look = Array.isArray(rows[0][i]) ? {class: "number"} : {};
        make(make(line, "th", "", {scope: "col", ...look}), "button", word, {type: "button"});
    });
    const body = make(table, "tbody");
    for (const row of rows) {
        const tr = make(body, "tr");
        for (const cell of row) {
            if (Array.isArray(cell)) make(tr, "td", cell[0], {class: "number", "data-v": cell[1]});
            else if (typeof cell === "string") make(tr, "td", cell);
            else {
                const place = make(tr, "td", "", {"data-v": cell.meter});
                const meter = make(place, "span", "", {class: "meter"});
                meter.style.width = `${100 * cell.meter}%`;
            }
        }
    }
}

// ---- the look-up -------------------------------------------------------------------------------

const choice = {run: 0, engine: data.headline};

function duration(ns) {
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]])
        if (ns >= size) return `${Number((ns / size).toPrecision(3))} ${unit}`;
    return `${Number(ns.toPrecision(3))} ns`;
}

// The fastest case of each layer at a size, with the chosen engines; once for each of its other
// dimensions.
function fastest(run, length, size) {
    const best = new Map();
    run.k.forEach((place, i) => {
        const [kernel, layer, engine, tokens] = run.kernels[place];
        if (run.s[i] !== length || run.h[i] !== size) return;
        if (choice.engine === data.headline && engine !== data.headline) return;
        const key = `${layer}|${tokens}|${run.others[i]}`;
        if (best.has(key) && best.get(key).ns <= run.ns[i]) return;
        best.set(key, {
            kernel, layer, engine, tokens, others: run.others[i], ns: run.ns[i], low: run.low[i],
            high: run.high[i], token: run.token[i], unstable: run.unstable[i],
        });
    });
    return [...best.values()].sort((a, b) => a.ns - b.ns);
}

function ranked(rows) {
    const [first, last] = [rows[0], rows.at(-1)];
    return rows.map((row, i) => {
        const meets = i && row.low !== null && row.low <= rows[i - 1].high;
        const several = rows.filter((other) => other.layer === row.layer).length > 1;
        return [
            [`${i + 1}`, i + 1],
            row.layer + (several && row.others ? ` (${row.others})` : ""),
            [duration(row.ns), row.ns],
            [`${(row.ns / first.ns).toFixed(2)}x`, row.ns],
            row.low === null ? "" : [`${duration(row.low)} to ${duration(row.high)}`, row.low],
            [duration(row.token), row.token],
            {meter: row.ns / last.ns},
            row.kernel,
            row.engine,
            [meets && "meets row above", row.unstable && "unstable"].filter(Boolean).join("; "),
        ];
    });
}

const HEAD = ["rank", "layer", "time", "over fastest", "95 % interval", "per token", "as a bar", "algorithm", "engine", "remark"];

function lookUp() {
    const host = byId("lookup-result");
    const [length, size] = ["lookup-length", "lookup-size"].map((id) => Number(byId(id).value));
    const rows = fastest(data.runs[choice.run], length, size);
    host.replaceChildren();
    for (const [tokens, what] of [["all", "Whole sequences"], ["one", "One token against a context"]]) {
        const those = rows.filter((row) => row.tokens === tokens);
        if (!those.length) continue;
        const title = `${what} of ${length} tokens at HidSize ${size}`;
        make(host, "h3", title);
        addTable(host, title, HEAD, ranked(those));
    }
    if (!rows.length) make(host, "p", "No layer was timed at this size.", {class: "note"});
}

// Keeps what was chosen where the run has it; else takes one from the middle.
function fillSizes() {
    const run = data.runs[choice.run];
    for (const [id, values] of [["lookup-length", run.s], ["lookup-size", run.h]]) {
        const select = byId(id);
        const before = select.value;
        const sizes = [...new Set(values)].sort((a, b) => a - b);
        select.replaceChildren();
        for (const size of sizes) make(select, "option", size, {value: size});
        select.value = sizes.includes(Number(before)) && before ? before : sizes[sizes.length >> 1];
    }
}

// ---- choices -----------------------------------------------------------------------------------

function show() {
    for (const name of ["run", "engine"])
        for (const element of document.querySelectorAll(`[data-${name}]`))
            element.hidden = element.dataset[name] !== String(choice[name]);
    lookUp();
}

for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
byId("bar").addEventListener("change", ({target}) => {
    if (target.id === "theme") {
        if (target.value) document.documentElement.dataset.theme = target.value;
        else delete document.documentElement.dataset.theme;
        return;
    }
    choice[target.id] = target.id === "run" ? Number(target.value) : target.value;
    fillSizes();
    show();
});
byId("size").addEventListener("change", lookUp);

// ---- values in figures -------------------------------------------------------------------------

const tip = byId("tip");
const NEAR = 24; // pixels
const known = new WeakMap();
let shown = null;

// The marks of a picture that have a value; their titles would show twice.
function marksOf(picture) {
    if (!known.has(picture)) {
        const titles = [...picture.querySelectorAll("title")];
        known.set(picture, titles.map((title) => ({mark: title.parentNode, text: title.textContent})));
        for (const title of titles) title.remove();
    }
    return known.get(picture);
}

// How far a place is from a box: 0 inside.
function distance(box, x, y) {
    const across = Math.max(box.left - x, 0, x - box.right);
    return Math.hypot(across, Math.max(box.top - y, 0, y - box.bottom));
}

function point(found) {
    shown?.mark.classList.remove("here");
    shown = found ?? null;
    tip.hidden = !found;
    if (!found) return;
    found.mark.classList.add("here");
    tip.textContent = found.text;
    const box = found.mark.getBoundingClientRect();
    const isBelow = box.bottom + 8 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(4, Math.min(box.right, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${isBelow ? box.bottom + 8 : box.top - tip.offsetHeight - 8}px`;
}

document.addEventListener("pointermove", (event) => {
    const picture = event.target.closest?.("svg.plot");
    const near = picture && marksOf(picture)
        .map((found) => {
            const box = found.mark.getBoundingClientRect();
            return {found, away: distance(box, event.clientX, event.clientY)};
        })
        .reduce((a, b) => (b.away < a.away ? b : a), {away: NEAR});
    if (near?.found !== shown || !near) point(near?.found);
});

document.addEventListener("keydown", (event) => {
    const picture = event.target.closest?.("svg.plot");
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (event.key === "Escape") point();
    if (!picture || !step) return;
    event.preventDefault();
    const marks = marksOf(picture);
    const place = marks.indexOf(shown);
    point(marks[place < 0 ? 0 : (place + step + marks.length) % marks.length]);
});
document.addEventListener("focusout", () => point());
document.addEventListener("scroll", () => point(shown), {passive: true});

fillSizes();
show();
