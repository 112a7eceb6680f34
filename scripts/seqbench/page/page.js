const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

function make(parent, tag, text = "", attributes = {}) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return parent.appendChild(element);
}

// ---- numbers, as the scripts write them ----------------------------------------------------------

// Two digits: 0.35, 1.2, 13, 1400.
function two(value) {
    const short = Number(value.toPrecision(2));
    const power = Number(short.toExponential().split("e")[1]);
    return short.toFixed(Math.max(0, 1 - power));
}

// The same, never rounded across 1.
const times = (ratio) => `${ratio < 1 ? two(Math.min(ratio, 0.99)) : two(ratio)}`;

const listing = (words) =>
    words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0];

// ---- the look-up -------------------------------------------------------------------------------

const choice = {run: 0, engine: data.engine, lens: data.lens};
const ARTICLE = ["rnn", "lstm", "transformer"];
const THROUGH = {
    parameter: ["with models of equal size", "as many layers as have the parameters of one Transformer block"],
    layer: ["layer for layer", "one layer"],
    mixer: ["in the place of attention", "one layer"],
};

// The fastest case of each layer and size with the chosen engines. What is not known is NaN.
function fastest(run) {
    const layers = new Map();
    const used = run.classes[choice.engine];
    run.k.forEach((place, i) => {
        const [kernel, layer, engine, job] = run.kernels[place];
        if (used !== data.any && engine !== used) return;
        if (choice.lens === "mixer" && job !== "mixer") return;
        if (!layers.has(layer)) layers.set(layer, new Map());
        const [cells, key] = [layers.get(layer), `${run.s[i]} ${run.h[i]}`];
        if (cells.get(key)?.ns <= run.ns[i]) return;
        cells.set(key, {
            kernel, s: run.s[i], h: run.h[i], ns: run.ns[i], low: run.low[i] ?? NaN,
            high: run.high[i] ?? NaN, parameters: run.parameters[i] ?? NaN,
        });
    });
    return layers;
}

// Times of as many layers as have the parameters of the reference.
function atEqualSize(layers) {
    const beside = layers.get(data.references.parameter) ?? new Map();
    const sizes = new Map([...beside.values()].map((cell) => [cell.h, cell.parameters]));
    for (const cells of layers.values())
        for (const [key, cell] of cells) {
            const scale = sizes.get(cell.h) / cell.parameters;
            if (Number.isNaN(scale)) cells.delete(key);
            for (const name of ["ns", "low", "high"]) cell[name] *= scale;
        }
}

// The measured neighbours of a value, with their weights on a logarithmic scale; none outside.
function around(values, value) {
    const sorted = [...new Set(values)].sort((a, b) => a - b);
    if (sorted.includes(value)) return [[value, 1]];
    const [below, above] = [sorted.findLast((each) => each < value), sorted.find((each) => each > value)];
    if (!below || !above) return [];
    const share = Math.log(value / below) / Math.log(above / below);
    return [[below, 1 - share], [above, share]];
}

// A layer at a size: measured there, or straight lines in the logarithms between its neighbours.
function at(layer, cells, length, size) {
    const all = [...cells.values()];
    const corners = around(all.map((cell) => cell.s), length).flatMap(([s, across]) =>
        around(all.map((cell) => cell.h), size).map(([h, along]) => [cells.get(`${s} ${h}`), across * along]));
    if (!corners.length || corners.some(([cell]) => !cell)) return [];
    const mean = (name) => corners.length === 1
        ? corners[0][0][name]
        : Math.exp(corners.reduce((sum, [cell, weight]) => sum + weight * Math.log(cell[name]), 0));
    const kernels = [...new Set(corners.map(([cell]) => cell.kernel))].join(" or ");
    return [{layer, kernels, ns: mean("ns"), low: mean("low"), high: mean("high"), isBetween: corners.length > 1}];
}

const isApart = (row, first) => row.low > first.high;
const named = (layer) => (layer in data.names ? `the ${data.names[layer]}` : layer);
const perToken = (row) => `${two(row.ns / 1000)} µs per token`;

// Which of some rows takes the least time, and how far it is ahead.
function verdict(rows) {
    const [first, ...others] = rows;
    const ties = others.filter((row) => !isApart(row, first));
    const reference = data.references[choice.lens];
    const beside = others.find((row) => row.layer === reference) ?? others[0];
    const words = ties.length
        ? `${listing([first, ...ties].map((row) => named(row.layer)))} take the least time, ${perToken(first)}: no difference between them`
        : `${named(first.layer)} takes the least time: ${perToken(first)}`;
    if (!beside || ties.includes(beside)) return `${words}.`;
    return `${words}; ${named(beside.layer)} takes ${times(beside.ns / first.ns)} times as long.`;
}

function addBar(line, row, most, hue) {
    const place = make(line, "td", "", {class: "bar", "aria-hidden": "true"});
    const percent = (ns) => `${(100 * ns) / most}%`;
    const fill = make(place, "span", "", {class: "fill"});
    Object.assign(fill.style, {width: percent(row.ns), background: `var(--${hue})`});
    if (Number.isNaN(row.low)) return;
    const whisker = make(place, "span", "", {class: "whisker"});
    Object.assign(whisker.style, {left: percent(row.low), width: percent(row.high - row.low)});
}

// Bars with intervals, the fastest first.
function addBars(host, rows, title) {
    const box = make(host, "div", "", {class: "scroll", tabindex: 0, role: "region", "aria-label": title});
    const table = make(box, "table", "", {class: "bars"});
    make(table, "caption", title, {class: "hidden"});
    const head = make(make(table, "thead"), "tr");
    for (const word of ["layer", "", "µs per token", "95 % interval", "over the first", "algorithm"])
        make(head, "th", word, {scope: "col"});
    const most = Math.max(...rows.map((row) => row.high || row.ns));
    const body = make(table, "tbody");
    for (const row of rows) {
        const line = make(body, "tr");
        make(line, "th", data.names[row.layer] ?? row.layer, {scope: "row"});
        addBar(line, row, most, data.runs[choice.run].hues[row.layer]);
        make(line, "td", two(row.ns / 1000), {class: "number"});
        const isKnown = !Number.isNaN(row.low);
        make(line, "td", isKnown ? `${two(row.low / 1000)} to ${two(row.high / 1000)}` : "not known");
        const isTie = row !== rows[0] && !isApart(row, rows[0]);
        make(line, "td", isTie ? "no difference" : `${times(row.ns / rows[0].ns)}x`);
        make(line, "td", row.kernels);
    }
}

// Why nothing can be said of a size, if so.
function refusal(run, length, size) {
    for (const [name, value, values] of [["SeqLen", length, run.s], ["HidSize", size, run.h]]) {
        const [least, most] = [Math.min(...values), Math.max(...values)];
        if (!values.length) return "No layer was timed over whole sequences.";
        if (!(value > 0)) return `Type a number for ${name}.`;
        if (value < least || value > most)
            return `${name} ${value} is outside the measured ${least} to ${most}.`;
    }
    return "";
}

function lookUp() {
    const [host, run] = [byId("lookup-result"), data.runs[choice.run]];
    const [length, size] = [Number(byId("s").value), Number(byId("h").value)];
    const layers = fastest(run);
    if (choice.lens === "parameter") atEqualSize(layers);
    const rows = [...layers].flatMap(([layer, cells]) => at(layer, cells, length, size)).sort((a, b) => a.ns - b.ns);
    const [words, what] = THROUGH[choice.lens];
    const counted = choice.lens === "parameter" ? " whose parameters are known" : "";
    const why = refusal(run, length, size) || (rows.length ? "" : `No layer${counted} was timed around this size.`);
    host.replaceChildren();
    if (why) return void make(host, "p", why, {class: "headline"});
    const where = `At S = ${length}, H = ${size}, ${words}`;
    make(host, "p", `${where}, ${verdict(rows)}`, {class: "headline"});
    const three = rows.filter((row) => ARTICLE.includes(row.layer));
    if (three.length > 1 && three.length < rows.length)
        make(host, "p", `Of ${listing(three.map((row) => named(row.layer)))}: ${verdict(three)}`);
    const between = rows.some((row) => row.isBetween) ? " Interpolated between measured sizes." : "";
    make(host, "p", `Time per token of ${what}, 95 % intervals.${between}`, {class: "note"});
    addBars(host, rows, `${where}: time per token`);
}

// The sizes that the run has; what was typed stays, moved into them.
function fillSizes() {
    const run = data.runs[choice.run];
    for (const [id, values] of [["s", run.s], ["h", run.h]]) {
        if (!values.length) continue;
        const [field, least, most] = [byId(id), Math.min(...values), Math.max(...values)];
        Object.assign(field, {min: least, max: most});
        field.value = Math.min(most, Math.max(least, Number(field.value)));
    }
}

// ---- choices -----------------------------------------------------------------------------------

function show() {
    for (const name of ["run", "engine", "lens"])
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
    if (target.id === "run") fillSizes();
    show();
});
byId("size").addEventListener("input", ({target}) => {
    if (target.id === "model" && target.value)
        [byId("s").value, byId("h").value] = target.value.split(",");
    else if (target.id !== "model" && byId("model"))
        byId("model").value = "";
    lookUp();
});

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
