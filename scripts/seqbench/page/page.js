// ---- tables ------------------------------------------------------------------------------------

function sortedBy(rows, column, downwards) {
    const value = (row) => (column.sortBy ? column.sortBy(row) : row[column.name]);
    return [...rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (!known(x) || !known(y)) return known(x) ? -1 : known(y) ? 1 : 0;
        const order = isNumber(x) && isNumber(y) ? x - y : String(x).localeCompare(String(y), "en");
        return downwards ? -order : order;
    });
}

function bodyInto(body, columns, rows) {
    empty(body);
    for (const row of rows) {
        const line = make(body, "tr", {class: row.className});
        for (const column of columns) {
            const kind = column.number ? "number" : column.wide ? "wide" : undefined;
            const cell = make(line, "td", {class: kind});
            if (column.meter)
                make(cell, "span", {class: "meter"}).style.width = `${100 * row[column.name]}%`;
            else cell.textContent = (column.format ?? plain)(row[column.name], row);
        }
    }
}

// A table in a box of its own that scrolls.
// columns: {name, title, number, wide, format, meter, sortBy}
function tableInto(host, {caption, columns, rows}) {
    const box = make(host, "div", {
        class: "scroll",
        tabindex: 0,
        role: "region",
        "aria-label": caption,
    });
    const table = make(box, "table");
    make(make(table, "caption", {class: "hidden"}), "span", {}, caption);
    const head = make(make(table, "thead"), "tr"),
        body = make(table, "tbody");
    for (const column of columns) {
        const title = make(head, "th", {scope: "col", class: column.number ? "number" : undefined});
        if (column.meter) {
            title.textContent = column.title;
            continue;
        }
        make(title, "button", {type: "button"}, column.title).addEventListener("click", () => {
            const downwards = title.getAttribute("aria-sort") === "ascending";
            for (const other of head.children) other.removeAttribute("aria-sort");
            title.setAttribute("aria-sort", downwards ? "descending" : "ascending");
            bodyInto(body, columns, sortedBy(rows, column, downwards));
        });
    }
    bodyInto(body, columns, rows);
}

function detailsTable(host, title, spec) {
    const details = make(host, "details");
    make(details, "summary", {}, title);
    details.addEventListener("toggle", () => {
        if (details.open && details.childElementCount === 1) tableInto(details, spec());
    });
}

// Fills the host from a derived table, or says what makes it.
function fromTable(id, run, name, fill) {
    const host = byId(id),
        table = run.tables[name];
    if (!table) {
        absent(host, `This run has no ${name}.`, run.make);
        return;
    }
    empty(host);
    const rows = rowsOf(table);
    if (rows.length) fill(host, rows);
    else make(host, "p", {class: "note"}, `${name} has no rows: what it needs was not timed.`);
}

const text = (name, title, more = {}) => ({name, title, ...more});
const number = (name, title, more = {}) => ({name, title, number: true, ...more});

// ---- the tables of a run -----------------------------------------------------------------------

function claimsTable(host, rows) {
    const columns = [
        text("statement", "the article", {wide: true}),
        text("measure", "measured by", {wide: true}),
        text("claimed", "claimed"),
        number("hid_size", "HidSize"),
        number("measured", "measured"),
        number("low", "least"),
        number("high", "most"),
        number("cells", "values"),
        text("verdict", "verdict"),
    ];
    tableInto(host, {
        caption: "Claims over all HidSizes",
        columns: columns.filter((column) => column.name !== "hid_size"),
        rows: rows.filter((row) => !known(row.hid_size)),
    });
    detailsTable(host, "Each claim at each HidSize", () => ({
        caption: "Claims per HidSize",
        columns,
        rows: rows.filter((row) => known(row.hid_size)),
    }));
}

// Where a layer is cheaper, from all crossings: S < 61, > 158.
function cheaperWhere(row) {
    const found = (row.crossings ?? "")
        .split(" ")
        .filter(Boolean)
        .map((value) => plain(Math.round(Number(value))));
    const atEnd = row.ratio_at_max_seq_len > 1;
    if (!found.length) return atEnd ? "everywhere" : "nowhere";
    const ends = [null, ...found, null],
        pieces = [];
    for (let i = 0; i <= found.length; i++) {
        if (((found.length - i) % 2 === 0) !== atEnd) continue;
        const [low, high] = [ends[i], ends[i + 1]];
        pieces.push(low === null ? `< ${high}` : high === null ? `> ${low}` : `${low} to ${high}`);
    }
    return `S ${pieces.join(", ")}`;
}

function crossingInterval(row) {
    if (!row.crossings) return "";
    return (
        `${known(row.crossing_low) ? plain(row.crossing_low) : "before the grid"} to ` +
        `${known(row.crossing_high) ? plain(row.crossing_high) : "behind the grid"}`
    );
}

const ARITHMETIC = {"cheaper everywhere": "everywhere", "dearer everywhere": "nowhere"};

// Where a layer is cheaper if time were proportional to operations.
function countedWhere(row) {
    return known(row.arithmetic_seq_len)
        ? `S > ${plain(Math.round(row.arithmetic_seq_len))}`
        : (ARITHMETIC[row.arithmetic_verdict] ?? row.arithmetic_verdict);
}

function crossoverTable(host, rows) {
    tableInto(host, {
        caption: "SeqLen at which a layer becomes cheaper than the Transformer block",
        columns: [
            text("layer", "layer"),
            text("engine", "engines"),
            number("hid_size", "HidSize"),
            number("heads", "heads"),
            text("where", "cheaper (measured)"),
            text("between", "last crossing, 95 %"),
            text("counted", "cheaper (operation counts)"),
            number("operation_price", "time of an operation", {format: times}),
            number("ratio_at_min_seq_len", "ratio at smallest S", {format: times}),
            number("ratio_at_max_seq_len", "at largest S", {format: times}),
        ],
        rows: rows.map((row) => ({
            ...row,
            where: cheaperWhere(row),
            between: crossingInterval(row),
            counted: countedWhere(row),
        })),
    });
}

const TERMS = [
    ["sh2_ns", "a: S H²"],
    ["s2h_ns", "b: S² H"],
    ["sh_ns", "c: S H"],
    ["s_ns", "d: S"],
    ["const_ns", "e: 1"],
];

function fitTable(host, rows) {
    const term = (name) => (value, row) => {
        if (!known(value)) return "";
        const [low, high] = [row[`${name}_low`], row[`${name}_high`]];
        return plain(value) + (known(low) ? ` [${plain(low)}, ${plain(high)}]` : "");
    };
    tableInto(host, {
        caption: "Time fitted per kernel and cache regime",
        columns: [
            text("kernel", "kernel"),
            text("regime", "regime"),
            number("cells", "cells"),
            text("sizes", "HidSize", {sortBy: (row) => row.min_hid_size}),
            ...TERMS.map(([name, title]) => number(name, title, {format: term(name)})),
            number("exponent_s", "exponent of S"),
            number("exponent_h", "of H"),
            number("residual_median", "median error", {format: percent}),
            number("residual_max", "largest", {format: percent}),
            text("growth", "growth"),
        ],
        rows: rows.map((row) => ({
            ...row,
            sizes:
                row.min_hid_size === row.max_hid_size
                    ? `${row.min_hid_size}`
                    : `${row.min_hid_size} to ${row.max_hid_size}`,
        })),
    });
}

function predictionTable(host, rows) {
    make(
        host,
        "p",
        {},
        "Error: predicted time over measured time, less 1. " +
            "Below 0 the kernel takes longer than predicted.",
    );
    tableInto(host, {
        caption: "Error of the prediction per kernel",
        columns: [
            text("kernel", "kernel"),
            number("cells", "cells"),
            ...["median error", "median size", "nine in ten within", "worst"].map((name) =>
                number(name, name, {format: percent}),
            ),
        ],
        rows,
    });
}

function whatIfTable(host, rows) {
    const changes = [...new Set(rows.map((row) => row.change))];
    const lines = [
        ...grouped(rows, (row) => [row.layer, row.hid_size, row.heads].join("|")).values(),
    ].map((group) => ({
        layer: group[0].layer,
        h: group[0].hid_size,
        a: group[0].heads,
        ...Object.fromEntries(group.map((row) => [`change ${row.change}`, cheaperWhere(row)])),
    }));
    tableInto(host, {
        caption: "Where a layer is cheaper: measured, predicted, and with one roof changed",
        columns: [
            text("layer", "layer"),
            number("h", "HidSize"),
            number("a", "heads"),
            ...changes.map((change) => text(`change ${change}`, change)),
        ],
        rows: lines,
    });
}

function flagsTable(host, run) {
    empty(host);
    if (!run.noise) {
        absent(
            host,
            "The samples of this run were not kept: its disturbed samples are not known by rule.",
        );
        return;
    }
    const {samples, disturbed, failed, flags} = run.noise;
    make(
        host,
        "p",
        {},
        `${samples} samples; ${disturbed} were disturbed and are left out of every median ` +
            `(${percent(disturbed / samples)}), ${failed} failed. ` +
            "A sample can break several rules.",
    );
    tableInto(host, {
        caption: "Samples that each rule found disturbed",
        columns: [
            text("flag", "flag"),
            text("rule", "disturbed when", {wide: true}),
            number("count", "samples"),
            number("share", "share", {format: percent}),
        ],
        rows: flags.map(([flag, rule, count]) => ({flag, rule, count, share: count / samples})),
    });
}

function unstableTable(host, run) {
    const rows = run.cases
        .filter((row) => !row.stable)
        .map((row) => ({
            ...row,
            name: row.kernel.name,
            wide: row.rounds > 1 ? halfWidth(row) : null,
        }))
        .sort((a, b) => (b.wide ?? 9) - (a.wide ?? 9));
    empty(host);
    make(
        host,
        "p",
        {},
        `${rows.length} of ${run.cases.length} cases are unstable: ` +
            "fewer than two rounds, or half the " +
            `interval is more than ${percent(run.until)} of the median.`,
    );
    if (!rows.length) return;
    detailsTable(host, "The unstable cases, widest first", () => ({
        caption: "Unstable cases",
        columns: [
            text("name", "kernel"),
            number("s", "SeqLen"),
            number("h", "HidSize"),
            number("a", "heads"),
            number("ns", "median", {format: duration}),
            number("wide", "half width", {format: percent}),
            number("rounds", "rounds"),
            number("samples", "samples"),
            number("disturbed", "disturbed"),
        ],
        rows,
    }));
}

function machineTable(host, run) {
    empty(host);
    tableInto(host, {
        caption: "The machine, the build and the options of the run",
        columns: [text("group", "of"), text("key", "what"), text("value", "value", {wide: true})],
        rows: run.host.map(([group, key, value]) => ({group, key, value})),
    });
}

function kernelsTable(host, run) {
    empty(host);
    detailsTable(
        host,
        `The ${run.kernels.length} kernels of this run: equations, engines and methods`,
        () => ({
            caption: "Kernels of this run",
            columns: [
                text("name", "kernel"),
                text("engine", "engine"),
                text("tokens", "tokens"),
                text("equation", "equation", {wide: true}),
                text("method", "what this variant does", {wide: true}),
            ],
            rows: run.kernels,
        }),
    );
}

// ---- the lookup --------------------------------------------------------------------------------

function ranked(rows) {
    const sorted = [...rows].sort((a, b) => a.ns - b.ns);
    return sorted.map((row, i) => ({
        ...row,
        className: i ? undefined : "first",
        rank: i + 1,
        layer: seriesName(row.kernel) + (row.several ? ` A ${row.a}` : ""),
        variant: row.kernel.name,
        engine: row.kernel.engine,
        between: interval(row),
        slower: row.ns / sorted[0].ns,
        bar: row.ns / sorted.at(-1).ns,
        remark: [
            i && row.lo <= sorted[i - 1].hi ? "meets row above" : "",
            row.stable ? "" : "unstable",
        ]
            .filter(Boolean)
            .join("; "),
    }));
}

function lookup(state) {
    const host = byId("lookup-result"),
        {run, engine, choices} = state;
    const cell = fastest(run.timed, engine).filter(
        (row) => row.s === choices.lookupLength && row.h === choices.lookupSize,
    );
    const counts = grouped(cell, (row) => seriesName(row.kernel));
    empty(host);
    const columns = [
        number("rank", "rank"),
        text("layer", "layer"),
        number("ns", "time", {format: duration}),
        number("slower", "over fastest", {format: times}),
        text("between", "95 % interval", {sortBy: (row) => row.lo}),
        number("token", "per token", {format: (value) => duration(1000 * value)}),
        {name: "bar", title: "time", meter: true},
        text("variant", "fastest variant"),
        text("engine", "engine"),
        text("remark", "remark"),
    ];
    for (const [tokens, title] of [
        ["all", "Whole sequences"],
        ["one", "One token against a context"],
    ]) {
        const rows = cell
            .filter((row) => row.kernel.tokens === tokens)
            .map((row) => ({...row, several: counts.get(seriesName(row.kernel)).length > 1}));
        if (!rows.length) continue;
        const size = `${title} of ${choices.lookupLength} tokens at HidSize ${choices.lookupSize}`;
        make(host, "h3", {}, size);
        tableInto(host, {caption: size, columns, rows: ranked(rows)});
    }
    const timed = new Set(cell.map((row) => row.kernel.layer));
    const others = data.layers.filter(
        (layer) => !timed.has(layer) && run.timed.some((row) => row.kernel.layer === layer),
    );
    if (others.length)
        make(
            host,
            "p",
            {class: "note"},
            `No time at this size with this choice of engines: ${others.join(", ")}.`,
        );
}

// ---- controls ----------------------------------------------------------------------------------

const state = {
    run: data.runs[0],
    engine: data.headline,
    choices: {
        layers: new Set(data.layers),
        variants: "fastest",
        xAxis: "log",
        yAxis: "log",
        baseRun: "0",
        partsLayer: data.reference,
        runsLayer: data.reference,
    },
};

// A labelled choice; options: [[value, text]]
function chooser(form, id, label, options, value, onChange) {
    const box = make(form, "label", {}, label);
    const select = make(box, "select", {id});
    for (const [key, name] of options) make(select, "option", {value: key}, name);
    select.value = String(value);
    select.addEventListener("change", () => onChange(select.value));
}

// Keeps a choice while it is among the options; else takes one from their middle.
function keep(name, options) {
    if (!options.includes(state.choices[name]))
        state.choices[name] = options[Math.floor(options.length / 2)];
}

// A choice that is one of some values and redraws one figure.
function sizeChooser(form, id, label, name, options, redraw, isNumeric = true) {
    keep(
        name,
        options.map((option) => option[0]),
    );
    chooser(form, id, label, options, state.choices[name], (value) => {
        state.choices[name] = isNumeric ? Number(value) : value;
        redraw();
    });
}

const asOptions = (values) => values.map((value) => [value, String(value)]);

function layerChoices(form, redraw) {
    const group = make(form, "fieldset");
    make(group, "legend", {}, "Layers (in this figure and in the share of the bound)");
    const box = make(group, "div", {class: "choices"});
    const layers = data.layers.filter((layer) =>
        state.run.timed.some((row) => row.kernel.layer === layer),
    );
    const ticks = layers.map((layer) => {
        const label = make(box, "label");
        const tick = make(label, "input", {
            type: "checkbox",
            id: `layer-${data.layers.indexOf(layer)}`,
        });
        tick.checked = state.choices.layers.has(layer);
        swatch(label, look(data.layers.indexOf(layer)));
        make(label, "span", {}, layer);
        tick.addEventListener("change", () => {
            state.choices.layers[tick.checked ? "add" : "delete"](layer);
            redraw();
        });
        return [tick, layer];
    });
    for (const [id, title, isOn] of [
        ["layers-all", "all", true],
        ["layers-none", "none", false],
    ]) {
        make(box, "button", {type: "button", id}, title).addEventListener("click", () => {
            for (const [tick, layer] of ticks) {
                tick.checked = isOn;
                state.choices.layers[isOn ? "add" : "delete"](layer);
            }
            redraw();
        });
    }
}

function globalControls(form) {
    if (data.runs.length > 1) {
        chooser(
            form,
            "run",
            "Run",
            data.runs.map((run, i) => [i, `${runName(i)}: ${run.label}`]),
            0,
            (value) => {
                state.run = data.runs[Number(value)];
                showRun();
            },
        );
    }
    const others = data.runs.some((run) =>
        run.timed.some((row) => row.kernel.engine !== data.headline),
    );
    if (others) {
        chooser(
            form,
            "engine",
            "Matrix products by",
            [
                [data.headline, "OpenBLAS only"],
                [ALL_ENGINES, "all engines"],
            ],
            state.engine,
            (value) => {
                state.engine = value;
                showRun();
            },
        );
    }
    chooser(
        form,
        "theme",
        "Theme",
        [
            ["", "as the system"],
            ["light", "light"],
            ["dark", "dark"],
        ],
        "",
        (value) => {
            if (value) document.documentElement.dataset.theme = value;
            else delete document.documentElement.dataset.theme;
        },
    );
}

// The figures that follow a choice of their own.
const redrawTime = () => timeFigure(byId("time-figure"), state);
const redrawParts = () => partsFigure(byId("parts-figure"), state);
const redrawRoofline = () => rooflineFigure(byId("roofline-figure"), state);
const redrawRuns = () => runsFigure(byId("runs-figure"), state);

function redrawLayers() {
    redrawTime();
    redrawRoofline();
}

function partsControls(form) {
    const layers = Object.keys(state.run.parts);
    if (!layers.length) return;
    sizeChooser(
        form,
        "parts-layer",
        "Layer",
        "partsLayer",
        asOptions(layers),
        () => {
            empty(form);
            partsControls(form);
            byId("parts-layer").focus();
            redrawParts();
        },
        false,
    );
    const {rows} = state.run.parts[state.choices.partsLayer];
    const sizes = [...new Map(rows.map((row) => [`${row[1]}|${row[2]}`, row])).values()].sort(
        (a, b) => a[1] - b[1] || a[2] - b[2],
    );
    sizeChooser(
        form,
        "parts-size",
        "HidSize",
        "partsSize",
        sizes.map((row) => [
            `${row[1]}|${row[2]}`,
            row[2] > 1 ? `${row[1]}, ${row[2]} heads` : `${row[1]}`,
        ]),
        redrawParts,
        false,
    );
}

function sizeControls() {
    const forms = ["lookup", "time", "parts", "roofline"].map((name) => byId(`${name}-controls`));
    forms.forEach(empty);
    const [look, time, parts, roofline] = forms,
        {timed} = state.run;
    const lengths = asOptions(ascending(timed.map((row) => row.s)));
    const sizes = asOptions(ascending(timed.map((row) => row.h)));
    sizeChooser(look, "lookup-length", "SeqLen", "lookupLength", lengths, () => lookup(state));
    sizeChooser(look, "lookup-size", "HidSize", "lookupSize", sizes, () => lookup(state));
    sizeChooser(time, "time-size", "HidSize", "timeSize", sizes, redrawTime);
    sizeChooser(
        time,
        "time-variants",
        "Variants",
        "variants",
        [
            ["fastest", "fastest of each layer"],
            ["all", "all"],
        ],
        redrawTime,
        false,
    );
    for (const [id, label, name] of [
        ["time-x", "SeqLen axis", "xAxis"],
        ["time-y", "Time axis", "yAxis"],
    ]) {
        sizeChooser(
            time,
            id,
            label,
            name,
            [
                ["log", "logarithmic"],
                ["linear", "linear"],
            ],
            redrawTime,
            false,
        );
    }
    layerChoices(time, redrawLayers);
    partsControls(parts);
    sizeChooser(roofline, "roofline-length", "SeqLen", "rooflineLength", lengths, redrawRoofline);
}

const runColumns = (more) => data.runs.map((_, i) => text(`run${i}`, runName(i), more));

// A row per key that any run has: valueOf(row) in the column of each run.
function acrossRuns(tables, keyOf, firstColumns, valueOf) {
    const lines = new Map();
    tables.forEach((rows, i) => {
        for (const row of rows) {
            const key = keyOf(row);
            if (!lines.has(key)) lines.set(key, firstColumns(row));
            lines.get(key)[`run${i}`] = valueOf(row);
        }
    });
    return [...lines.values()];
}

function roofsOfRuns(host) {
    empty(host);
    const tables = data.runs.map((run) => run.roofs_of);
    tableInto(host, {
        caption: "What each machine can do, and how far sgemm is ahead of sgemv there",
        columns: [text("name", "roof"), ...runColumns({number: true})],
        rows: acrossRuns(
            tables,
            ([name]) => name,
            ([name]) => ({name}),
            ([, value]) => value,
        ),
    });
}

function crossoversOfRuns(host) {
    const engines = data.runs.map((run) => classOf(run, state.engine));
    const tables = data.runs.map((run, i) => crossoversOf(run, engines[i]));
    empty(host);
    const rows = acrossRuns(
        tables,
        (row) => [row.layer, row.hid_size, row.heads].join("|"),
        (row) => ({...row, counted: countedWhere(row)}),
        cheaperWhere,
    );
    tableInto(host, {
        caption: "SeqLen at which a layer is cheaper than the Transformer block, in each run",
        columns: [
            text("layer", "layer"),
            number("hid_size", "HidSize"),
            number("heads", "heads"),
            ...runColumns(),
            text("counted", "by operations"),
        ],
        rows: rows.sort(
            (a, b) =>
                a.layer.localeCompare(b.layer, "en") ||
                a.hid_size - b.hid_size ||
                a.heads - b.heads,
        ),
    });
}

function runsSection() {
    const host = byId("runs-text");
    empty(host);
    if (data.runs.length < 2) {
        make(
            host,
            "p",
            {class: "note"},
            'One run. `make report RUNS="dir dir ..."` sets several beside each other.',
        );
        return;
    }
    const list = make(host, "ul");
    data.runs.forEach((run, i) => make(list, "li", {}, `${runName(i)}: ${run.label}`));
    byId("runs-more").hidden = false;
    roofsOfRuns(byId("runs-roofs"));
    crossoversOfRuns(byId("runs-crossovers"));
    const form = byId("runs-controls");
    empty(form);
    const layers = [
        ...new Set(data.runs.flatMap((run) => run.timed.map((row) => seriesName(row.kernel)))),
    ];
    sizeChooser(
        form,
        "base-run",
        "Held against",
        "baseRun",
        data.runs.map((_, i) => [String(i), runName(i)]),
        redrawRuns,
        false,
    );
    sizeChooser(form, "runs-layer", "Layer", "runsLayer", asOptions(layers), redrawRuns, false);
    redrawRuns();
}

function showAnswer(run) {
    const host = byId("answer-text");
    empty(host);
    run.answer.forEach((line, i) => make(host, "p", i ? {} : {class: "headline"}, line));
    byId("run-label").textContent = run.label;
}

function showRun() {
    const {run} = state;
    showAnswer(run);
    crossoverFigure(byId("crossover-figure"), state);
    sizeControls();
    lookup(state);
    redrawLayers();
    redrawParts();
    roofsFigure(byId("roofs-figure"), state);
    fromTable("claims", run, "claims.csv", claimsTable);
    fromTable("crossovers", run, "crossover.csv", crossoverTable);
    fromTable("fits", run, "fit.csv", fitTable);
    fromTable("predictions", run, "predict.csv", predictionTable);
    fromTable("whatifs", run, "whatif.csv", whatIfTable);
    flagsTable(byId("flags"), run);
    widthsFigure(byId("widths-figure"), state);
    unstableTable(byId("unstable"), run);
    kernelsTable(byId("kernels"), run);
    machineTable(byId("machine"), run);
    runsSection();
}

function start() {
    for (const section of document.querySelectorAll("main > section")) {
        make(
            make(byId("nav"), "li"),
            "a",
            {href: `#${section.id}`},
            section.querySelector("h2").textContent,
        );
    }
    for (const form of document.forms)
        form.addEventListener("submit", (event) => event.preventDefault());
    globalControls(byId("global"));
    showRun();
    let waiting = 0;
    window.addEventListener("resize", () => {
        cancelAnimationFrame(waiting);
        waiting = requestAnimationFrame(repaintAll);
    });
}

start();
