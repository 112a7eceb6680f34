// ---- what was measured -------------------------------------------------------------------------

const data = JSON.parse(byId("data").textContent);
const KERNEL_FIELDS = [
    "name",
    "kind",
    "layer",
    "variant",
    "engine",
    "tokens",
    "equation",
    "method",
];
const ALL_ENGINES = "any";

const unpacked = (column) =>
    Array.isArray(column) ? column : column.at.map((i) => column.words[i]);

// A table of columns as a list of rows.
function rowsOf(columns) {
    const names = Object.keys(columns);
    const lists = names.map((name) => unpacked(columns[name]));
    return (lists[0] ?? []).map((_, i) =>
        Object.fromEntries(names.map((name, c) => [name, lists[c][i]])),
    );
}

for (const run of data.runs) {
    run.kernels = run.kernels.map((values) =>
        Object.fromEntries(KERNEL_FIELDS.map((name, i) => [name, values[i]])),
    );
    const byName = new Map(run.kernels.map((kernel) => [kernel.name, kernel]));
    run.cases = rowsOf(run.cases).map((row) => ({...row, kernel: run.kernels[row.k]}));
    run.timed = run.cases.filter((row) => row.kernel.kind === "layer");
    run.roofs = run.cases.filter((row) => row.kernel.kind === "roof");
    run.bounds =
        "roofline.csv" in run.tables
            ? rowsOf(run.tables["roofline.csv"]).map((row) => ({
                  ...row,
                  kernel: byName.get(row.kernel),
              }))
            : null;
    run.ratios = Object.fromEntries(
        Object.entries(run.ratios).map(([name, table]) => [name, rowsOf(table)]),
    );
}

const ascending = (values) => [...new Set(values)].sort((a, b) => a - b);
const range = (values) => [Math.min(...values), Math.max(...values)];
const ofEngine = (rows, engine) =>
    engine === ALL_ENGINES ? rows : rows.filter((row) => row.kernel.engine === engine);
const seriesName = (kernel) => kernel.layer + (kernel.tokens === "one" ? " (one token)" : "");

function grouped(rows, keyOf) {
    const groups = new Map();
    for (const row of rows) {
        const key = keyOf(row);
        if (!groups.has(key)) groups.set(key, []);
        groups.get(key).push(row);
    }
    return groups;
}

// The row of the fastest variant of each layer in each cell.
function fastest(rows, engine) {
    const cells = grouped(ofEngine(rows, engine), (row) =>
        [seriesName(row.kernel), row.s, row.h, row.a].join("|"),
    );
    return [...cells.values()].map((group) => group.reduce((a, b) => (b.ns < a.ns ? b : a)));
}

const interval = (row) => (isNumber(row.lo) ? `${duration(row.lo)} to ${duration(row.hi)}` : "");
const sizeText = (row) => `S ${row.s}, H ${row.h}${row.a > 1 ? `, A ${row.a}` : ""}`;
const caseText = (row) =>
    `${row.kernel.name} (${row.kernel.engine})\n${sizeText(row)}\n` +
    `${duration(row.ns)} [${interval(row)}]\n${duration(1000 * row.token)} per token` +
    (row.stable ? "" : "\nnot known as well as asked for");

// Sizes as rows of a heat map: HidSize, with heads where one size has several.
function sizeRows(cells) {
    const sizes = [...grouped(cells, (cell) => `${cell.h}|${cell.a}`).values()]
        .map((group) => group[0])
        .sort((one, other) => one.h - other.h || one.a - other.a);
    const several = new Set(sizes.map((size) => size.h)).size < sizes.length;
    return sizes.map(({h, a}) => ({h, a, name: several ? `${h}·A${a}` : `${h}`}));
}

function absent(host, what, command) {
    empty(host);
    make(host, "p", {class: "note"}, command ? `${what} \`${command}\` makes it.` : what);
}

// ---- 1: the crossover --------------------------------------------------------------------------

function crossoversOf(run, engine) {
    const table = run.tables["crossover.csv"];
    return table ? rowsOf(table).filter((row) => row.engine === engine) : [];
}

function crossMarkOf(rows, layer, size) {
    const row = rows.find(
        (each) => each.layer === layer && each.hid_size === size.h && each.heads === size.a,
    );
    if (!row?.crossings) return undefined;
    return {
        at: Number(row.crossings.split(" ").at(-1)),
        low: row.crossing_low,
        high: row.crossing_high,
    };
}

const classOf = (run, engine) => (engine in run.ratios ? engine : data.headline);

// The table behind a heat map.
function heatTable(caption, columns, rows, valueOf = (cell) => cell.value) {
    return {
        caption,
        columns: [
            {name: "size", title: "HidSize", number: true},
            ...columns.map((s, i) => ({name: i, title: `S ${s}`, number: true})),
        ],
        rows: rows.map((row) => ({
            size: row.name,
            ...row.cells.map((cell) => cell && valueOf(cell)),
        })),
    };
}

function crossoverFigure(host, state) {
    const engine = classOf(state.run, state.engine);
    const ratios = state.run.ratios[engine],
        crossovers = crossoversOf(state.run, engine);
    empty(host);
    if (!ratios.length) {
        absent(host, `No layer was timed beside the layer ${data.reference}.`);
        return;
    }
    if (!("crossover.csv" in state.run.tables)) {
        make(
            host,
            "p",
            {class: "note"},
            `The crossings are not marked: \`${state.run.make}\` makes crossover.csv.`,
        );
    }
    const panels = make(host, "div", {class: "panels"});
    for (const layer of data.layers.filter((name) => ratios.some((row) => row.layer === name))) {
        ratioMap(make(panels, "div", {class: "panel"}), layer, ratios, crossovers);
    }
}

function ratioMap(host, layer, ratios, crossovers) {
    const columns = ascending(ratios.map((row) => row.s)),
        sizes = sizeRows(ratios);
    const cellAt = new Map(
        ratios
            .filter((row) => row.layer === layer)
            .map((row) => [`${row.s}|${row.h}|${row.a}`, row]),
    );
    const rows = sizes.map((size) => ({
        name: size.name,
        cells: columns.map((s) => {
            const cell = cellAt.get(`${s}|${size.h}|${size.a}`);
            return (
                cell && {
                    value: cell.ratio,
                    text:
                        `${times(cell.ratio)}: ${data.reference} over ${layer}\n` +
                        `${sizeText(cell)}\n${cell.reference} over ${cell.kernel}`,
                }
            );
        }),
        cross: crossMarkOf(crossovers, layer, size),
    }));
    figure(host, {
        title: layer,
        label: `${data.reference} time over ${layer} time for every SeqLen and HidSize.`,
        paint: (svg, width) =>
            paintHeat(svg, width, {
                columns,
                rows,
                rowTitle: "HidSize",
                columnTitle: "SeqLen",
                left: sizes.some((size) => size.name.length > 5) ? 66 : 46,
            }),
        table: () => heatTable(`${data.reference} time over ${layer} time`, columns, rows),
    });
}

// ---- 2: time per token -------------------------------------------------------------------------

function timeSeries(state) {
    const {run, engine, choices} = state;
    const rows =
        choices.variants === "all" ? ofEngine(run.timed, engine) : fastest(run.timed, engine);
    const shown = rows.filter(
        (row) => row.h === choices.timeSize && choices.layers.has(row.kernel.layer),
    );
    const heads = grouped(shown, (row) => row.kernel.layer);
    const name = (row) =>
        (choices.variants === "all" ? row.kernel.name : seriesName(row.kernel)) +
        (new Set(heads.get(row.kernel.layer).map((each) => each.a)).size > 1 ? ` A ${row.a}` : "");
    const variants = grouped(shown, (row) => row.kernel.layer);
    return [...grouped(shown, name)]
        .map(([title, group]) => {
            const layer = group[0].kernel.layer;
            const names = [...new Set(variants.get(layer).map(name))].sort();
            return {
                name: title,
                order: data.layers.indexOf(layer),
                look: look(data.layers.indexOf(layer), names.indexOf(title)),
                points: group
                    .sort((a, b) => a.s - b.s)
                    .map((row) => ({
                        x: row.s,
                        y: row.token,
                        lo: row.lo && (row.lo * row.token) / row.ns,
                        hi: row.hi && (row.hi * row.token) / row.ns,
                        text: caseText(row),
                    })),
            };
        })
        .sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
}

// Columns of the table behind a figure of lines: x first, then every series.
function tableOfLines(caption, xTitle, series, format) {
    return {
        caption,
        columns: [
            {name: "x", title: xTitle, number: true},
            ...series.map((line, i) => ({name: `y${i}`, title: line.name, number: true, format})),
        ],
        rows: ascending(series.flatMap((line) => line.points.map((point) => point.x))).map((x) => ({
            x,
            ...Object.fromEntries(
                series.map((line, i) => [`y${i}`, line.points.find((p) => p.x === x)?.y]),
            ),
        })),
    };
}

function lineFigure(host, spec, series) {
    if (!series.some((line) => line.points.length)) {
        absent(host, spec.nothing);
        return;
    }
    const points = series.flatMap((line) => line.points);
    const xs = range(points.map((point) => point.x));
    const ys = range(
        points.flatMap((point) => [point.y, point.lo, point.hi].filter((value) => value > 0)),
    );
    figure(host, {
        label: spec.label,
        key: series,
        paint: (svg, width) =>
            paintLines(svg, width, {
                ...spec,
                series,
                height: width < 600 ? 320 : 400,
                x: {range: xs, ...spec.x},
                y: {range: spec.y.log ? ys : [0, spec.y.top ?? 1.05 * ys[1]], ...spec.y},
            }),
        table: () => tableOfLines(spec.label, spec.x.title, series, spec.y.text),
    });
}

function timeFigure(host, state) {
    const series = timeSeries(state);
    lineFigure(
        host,
        {
            label: `Time per token over SeqLen at HidSize ${state.choices.timeSize}.`,
            nothing: "No layer is chosen that was timed at this HidSize.",
            x: {
                log: state.choices.xAxis === "log",
                title: "SeqLen",
                ticks: ascending(series.flatMap((line) => line.points.map((point) => point.x))),
            },
            y: {log: state.choices.yAxis === "log", title: "µs per token (bar: 95 % interval)"},
        },
        series,
    );
}

// ---- 3: parts ----------------------------------------------------------------------------------

function partsFigure(host, state) {
    const parts = state.run.parts[state.choices.partsLayer];
    if (!parts) {
        absent(host, "No part of a layer was timed in this run.");
        return;
    }
    const rows = parts.rows.filter((row) => `${row[1]}|${row[2]}` === state.choices.partsSize);
    const colour = (i) => `var(--c${(i + 1) % COLOURS})`;
    const bars = rows.map(([s, h, a, whole, ...each]) => {
        const sum = each.reduce((total, value) => total + value, 0);
        return {
            name: s,
            note: whole ? times(whole / sum) : "",
            pieces: each.map((value, i) => ({
                share: value / sum,
                colour: colour(i),
                name: parts.names[i],
                value,
                text:
                    `${parts.names[i]}: ${percent(value / sum)}\n` +
                    `${duration(value)} at ${sizeText({s, h, a})}`,
            })),
        };
    });
    figure(host, {
        label: `Shares of the parts of ${state.choices.partsLayer} over SeqLen.`,
        key: parts.names.map((name, i) => ({name, colour: colour(i)})),
        paint: (svg, width) =>
            paintBars(svg, width, {rows: bars, rowTitle: "SeqLen", noteTitle: "whole / sum"}),
        table: () => ({
            caption: `Times of the parts of ${state.choices.partsLayer}`,
            columns: [
                {name: "s", title: "SeqLen", number: true},
                ...parts.names.map((name, i) => ({
                    name: i,
                    title: name,
                    number: true,
                    format: duration,
                })),
                {name: "whole", title: "whole layer", number: true, format: duration},
            ],
            rows: rows.map(([s, , , whole, ...each]) => ({s, whole, ...each})),
        }),
    });
}

// ---- 4: the bound ------------------------------------------------------------------------------

// HidSizes at which the working set leaves each cache, where it grows with HidSize.
function cacheEnds(rows, caches) {
    const ends = [];
    for (const [level, size] of caches) {
        for (let i = 0; i + 1 < rows.length; i++) {
            const [a, b] = [rows[i], rows[i + 1]];
            if (a.set > 0 && a.set <= size && b.set > size) {
                const share = Math.log(size / a.set) / Math.log(b.set / a.set);
                ends.push({
                    x: Math.exp(Math.log(a.h) + share * Math.log(b.h / a.h)),
                    text: `L${level}`,
                });
            }
        }
    }
    return ends;
}

function rooflineFigure(host, state) {
    const {run, engine, choices} = state;
    if (!run.bounds) {
        absent(host, "This run has no roofline.csv.", run.make);
        return;
    }
    const key = (row) => [row.kernel.name, row.s, row.h, row.a].join("|");
    const bounds = new Map(run.bounds.map((row) => [key(row), row]));
    const best = fastest(run.timed, engine)
        .filter((row) => row.s === choices.rooflineLength && choices.layers.has(row.kernel.layer))
        .map((row) => ({...row, ...bounds.get(key(row)), kernel: row.kernel}))
        .filter((row) => isNumber(row.share));
    const series = [...grouped(best, (row) => seriesName(row.kernel))]
        .map(([name, group]) => {
            const rows = [...grouped(group, (row) => row.h).values()]
                .map((same) => same.reduce((a, b) => (b.a < a.a ? b : a)))
                .sort((a, b) => a.h - b.h);
            const layer = data.layers.indexOf(rows[0].kernel.layer);
            return {
                name,
                order: layer,
                look: look(layer),
                ends: cacheEnds(rows, run.caches),
                points: rows.map((row) => ({
                    x: row.h,
                    y: row.share,
                    text:
                        `${row.kernel.name}: ${percent(row.share)} of the bound\n` +
                        `${sizeText(row)}\n` +
                        `bound ${duration(row.bound)}, taken ${duration(row.ns)}\n` +
                        `reads ${bytesText(row.set ?? 0)} again`,
                })),
            };
        })
        .sort((a, b) => a.order - b.order);
    const top = Math.max(1, ...series.flatMap((line) => line.points.map((point) => point.y)));
    lineFigure(
        host,
        {
            label: `Share of the bound over HidSize at SeqLen ${choices.rooflineLength}.`,
            nothing: "No roof was timed that bounds the chosen layers.",
            x: {log: true, title: "HidSize", ticks: ascending(best.map((row) => row.h)), gap: 36},
            y: {log: false, title: "least time / time taken", text: percent, top},
        },
        series,
    );
}

// ---- 5: roofs ----------------------------------------------------------------------------------

const roofSeries = (row) =>
    row.kernel.variant +
    (row.s === 1 || row.s === row.h || row.kernel.variant !== "sgemm" ? "" : `, ${row.s} rows`);

function roofLines(rows, value, unit, keyOf) {
    return [...grouped(rows, keyOf)].map(([name, group], i) => ({
        name,
        look: look(i + 1),
        points: group
            .sort((a, b) => a.bytes - b.bytes)
            .map((row) => ({
                x: row.bytes,
                y: row[value],
                text:
                    `${row.kernel.name}: ${plain(row[value])} ${unit}\n` +
                    `${bytesText(row.bytes)}, ${sizeText(row)}`,
            })),
    }));
}

function roofsFigure(host, state) {
    empty(host);
    const roofs = state.run.roofs.filter((row) => row.bytes > 0);
    const [gemm, read] = [
        roofs.filter((row) => row.gflops > 0),
        roofs.filter((row) => row.kernel.variant === "read"),
    ];
    if (!gemm.length && !read.length) {
        absent(host, "No roof was timed. `seqbench run -k 'roof/*'` times them.");
        return;
    }
    const ends = state.run.caches.map(([level, size]) => ({x: size, text: `L${level}`}));
    const panels = make(host, "div", {class: "panels"});
    const panel = (title, rows, value, unit, keyOf) => {
        if (!rows.length) return;
        const inside = range(rows.map((row) => row.bytes));
        const place = make(panels, "div", {class: "panel"});
        lineFigure(
            place,
            {
                label: `${title} over the bytes touched.`,
                height: 320,
                ends: ends.filter((end) => end.x > inside[0] && end.x < inside[1]),
                x: {
                    log: true,
                    title: "bytes touched",
                    text: bytesText,
                    gap: 64,
                    ticks: inside[1] > inside[0] ? powersOfFour(...inside) : inside,
                },
                y: {log: false, title: unit},
            },
            roofLines(rows, value, unit, keyOf),
        );
    };
    panel("Multiply-adds", gemm, "gflops", "GFLOP/s", roofSeries);
    panel("Reading", read, "gbytes", "GB/s", (row) => row.kernel.variant);
}

function powersOfFour(low, high) {
    const found = [];
    for (let value = 4 ** Math.ceil(Math.log2(low) / 2); value <= high; value *= 4)
        found.push(value);
    return found.length ? found : [low, high];
}

// ---- 6: how well the medians are known ---------------------------------------------------------

const WIDTH_STEPS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, Infinity];

const halfWidth = (row) => (row.hi - row.lo) / 2 / row.ns;

function widthsFigure(host, state) {
    const rows = state.run.cases.filter((row) => row.rounds > 1 && isNumber(row.lo));
    if (!rows.length) {
        absent(
            host,
            "No case was timed in more than one round: no interval knows how processes differ.",
        );
        return;
    }
    const bars = WIDTH_STEPS.map((end, i) => {
        const start = WIDTH_STEPS[i - 1] ?? 0;
        const count = rows.filter(
            (row) =>
                (halfWidth(row) > start && halfWidth(row) <= end) ||
                (i === 0 && halfWidth(row) === 0),
        ).length;
        const name = end === Infinity ? `> ${100 * start} %` : `${i ? "" : "≤ "}${100 * end} %`;
        return {
            name,
            count,
            text:
                `${count} of ${rows.length} cases\nhalf width ` +
                (end === Infinity
                    ? `above ${100 * start} %`
                    : `${100 * start} % to ${100 * end} %`),
        };
    });
    figure(host, {
        label: "Half width of the 95 % intervals over their medians.",
        paint: (svg, width) =>
            paintCounts(svg, width, {bars, title: "cases by half width of the interval, up to"}),
        table: () => ({
            caption: "Cases by half width of the interval over the median",
            columns: [
                {name: "name", title: "up to"},
                {name: "count", title: "cases", number: true},
            ],
            rows: bars,
        }),
    });
}

// ---- 7: runs side by side ----------------------------------------------------------------------

const cellKey = (row) => [seriesName(row.kernel), row.s, row.h, row.a].join("|");

function bestOfRuns(engine) {
    return data.runs.map(
        (run) => new Map(fastest(run.timed, engine).map((row) => [cellKey(row), row])),
    );
}

// The cells of a layer that at least two runs have timed, as their rows in the order of the runs.
function sharedCells(best, name) {
    const keys = new Set(best.flatMap((run) => [...run.keys()]));
    return [...keys]
        .map((key) => best.map((run) => run.get(key)))
        .filter((rows) => rows.filter(known).length > 1)
        .filter((rows) => seriesName(rows.find(known).kernel) === name);
}

// The run with the least time in a cell; -1 where its interval meets that of another.
function winnerOf(rows) {
    const order = rows
        .map((row, i) => [row, i])
        .filter(([row]) => known(row))
        .sort((a, b) => a[0].ns - b[0].ns);
    const apart = order.length < 2 || order.slice(1).every(([row]) => row.lo > order[0][0].hi);
    return apart ? order[0][1] : -1;
}

const runName = (i) => `run ${i + 1}`;

function runsFigure(host, state) {
    const best = bestOfRuns(state.engine);
    const base = Number(state.choices.baseRun),
        name = state.choices.runsLayer;
    empty(host);
    const panels = make(host, "div", {class: "panels"});
    data.runs.forEach((_, other) => {
        if (other !== base) pairMap(make(panels, "div", {class: "panel"}), best, name, base, other);
    });
    winnersMap(make(panels, "div", {class: "panel"}), best, name);
    winnersTable(make(host, "div"), best, base);
}

function pairMap(host, best, name, base, other) {
    const pairs = [...best[base].entries()]
        .filter(([key, row]) => seriesName(row.kernel) === name && best[other].has(key))
        .map(([key, row]) => ({...row, its: best[other].get(key)}));
    if (!pairs.length) {
        absent(host, `${runName(other)} and ${runName(base)} have no cell of ${name} in common.`);
        return;
    }
    const columns = ascending(pairs.map((row) => row.s));
    const rows = sizeRows(pairs).map((size) => ({
        name: size.name,
        cells: columns.map((s) => {
            const pair = pairs.find((row) => row.s === s && row.h === size.h && row.a === size.a);
            if (!pair) return null;
            const value = pair.ns / pair.its.ns,
                mark = winnerOf([pair, pair.its]) < 0 ? "≈" : "";
            return {
                value,
                short: mark + ratioText(value),
                text:
                    `${times(value)} as fast as ${runName(base)}\n${sizeText(pair)}\n` +
                    `${runName(base)}: ${duration(pair.ns)} [${interval(pair)}]\n` +
                    `${runName(other)}: ${duration(pair.its.ns)} [${interval(pair.its)}]` +
                    (mark ? "\nthe intervals meet" : ""),
            };
        }),
    }));
    figure(host, {
        title: `${name}: ${runName(base)} time over ${runName(other)} time`,
        label: `Time of ${name} in ${runName(base)} over its time in ${runName(other)}.`,
        paint: (svg, width) =>
            paintHeat(svg, width, {columns, rows, rowTitle: "HidSize", columnTitle: "SeqLen"}),
        table: () => heatTable(`${runName(base)} over ${runName(other)}`, columns, rows),
    });
}

// In every cell the run with the least time.
function winnersMap(host, best, name) {
    const cells = sharedCells(best, name).map((rows) => ({
        ...rows.find(known),
        winner: winnerOf(rows),
    }));
    if (!cells.length) return;
    const columns = ascending(cells.map((row) => row.s));
    const rows = sizeRows(cells).map((size) => ({
        name: size.name,
        cells: columns.map((s) => {
            const cell = cells.find((row) => row.s === s && row.h === size.h && row.a === size.a);
            if (!cell) return null;
            if (cell.winner < 0) {
                return {word: "≈", short: "≈", text: `The intervals meet\n${sizeText(cell)}`};
            }
            return {
                word: runName(cell.winner),
                short: `${cell.winner + 1}`,
                colour: `var(--c${(cell.winner + 1) % COLOURS})`,
                text: `${runName(cell.winner)} is fastest\n${sizeText(cell)}`,
            };
        }),
    }));
    figure(host, {
        title: `${name}: the fastest run`,
        label: `The run that is fastest with ${name} in every cell.`,
        paint: (svg, width) =>
            paintHeat(svg, width, {columns, rows, rowTitle: "HidSize", columnTitle: "SeqLen"}),
        table: () => heatTable(`The fastest run with ${name}`, columns, rows, (cell) => cell.word),
    });
}

function winnersTable(host, best, base) {
    const names = new Set(
        best.flatMap((run) => [...run.values()].map((row) => seriesName(row.kernel))),
    );
    const rows = [...names]
        .map((name) => {
            const cells = sharedCells(best, name);
            const won = cells.map(winnerOf);
            const row = {
                name,
                cells: cells.length,
                none: won.filter((winner) => winner < 0).length,
            };
            data.runs.forEach((_, i) => {
                row[`won${i}`] = won.filter((winner) => winner === i).length;
                const logs = cells
                    .filter((cell) => known(cell[base]) && known(cell[i]))
                    .map((cell) => Math.log(cell[base].ns / cell[i].ns));
                row[`mean${i}`] = logs.length
                    ? Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length)
                    : null;
            });
            return row;
        })
        .filter((row) => row.cells);
    tableInto(host, {
        caption:
            "Which run wins where: cells in which a run's interval is below those of all others " +
            "that timed it; " +
            `speed: geometric mean of the time of ${runName(base)} over that of the run, ` +
            "in the cells of both",
        columns: [
            {name: "name", title: "layer"},
            {name: "cells", title: "cells of two runs or more", number: true},
            ...data.runs.map((_, i) => ({
                name: `won${i}`,
                title: `${runName(i)} wins`,
                number: true,
            })),
            {name: "none", title: "intervals meet", number: true},
            ...data.runs.map((_, i) => ({
                name: `mean${i}`,
                title: `speed of ${runName(i)}`,
                number: true,
                format: times,
            })),
        ],
        rows,
    });
}
