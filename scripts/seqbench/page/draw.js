// ---- elements ----------------------------------------------------------------------------------

const byId = (id) => document.getElementById(id);
const SVG = byId("svg-source").namespaceURI;

function filled(element, attributes, text) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value !== undefined) element.setAttribute(name, value);
    }
    if (text !== undefined) element.textContent = text;
    return element;
}

// An HTML element at the end of its parent.
function make(parent, name, attributes = {}, text = undefined) {
    return parent.appendChild(filled(document.createElement(name), attributes, text));
}

// An SVG element at the end of its parent.
function draw(parent, name, attributes = {}, text = undefined) {
    return parent.appendChild(filled(document.createElementNS(SVG, name), attributes, text));
}

const empty = (element) => element.replaceChildren();

// ---- numbers for a reader ----------------------------------------------------------------------

const known = (value) => value !== null && value !== undefined;
const isNumber = (value) => typeof value === "number";

function plain(value) {
    if (!isNumber(value)) return known(value) ? String(value) : "";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e7 || size < 1e-3)) return value.toExponential(2);
    return String(size >= 1000 ? Math.round(value) : Number(value.toPrecision(3)));
}

function duration(ns) {
    if (!isNumber(ns)) return "";
    for (const [unit, size] of [
        ["s", 1e9],
        ["ms", 1e6],
        ["µs", 1e3],
    ]) {
        if (ns >= size) return `${plain(ns / size)} ${unit}`;
    }
    return `${plain(ns)} ns`;
}

function bytesText(count) {
    for (const [unit, size] of [
        ["GiB", 2 ** 30],
        ["MiB", 2 ** 20],
        ["KiB", 2 ** 10],
    ]) {
        if (count >= size) return `${plain(count / size)} ${unit}`;
    }
    return `${count} B`;
}

const percent = (value) => (isNumber(value) ? `${plain(100 * value)} %` : "");
const times = (value) => (isNumber(value) ? `${plain(value)}x` : "");

// Short enough for a cell of a heat map.
function ratioText(value) {
    return value >= 9.95 ? value.toFixed(0) : value >= 0.995 ? value.toFixed(1) : value.toFixed(2);
}

// ---- how series look: colour, dash and marker --------------------------------------------------

const COLOURS = 8;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "12 4"];
const MARKERS = [
    (r) => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`,
    (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
    (r) => `M0 ${-1.2 * r}L${1.2 * r} ${r}H${-1.2 * r}Z`,
    (r) => `M0 ${-1.4 * r}L${1.2 * r} 0L0 ${1.4 * r}L${-1.2 * r} 0Z`,
    (r) => `M0 ${1.2 * r}L${1.2 * r} ${-r}H${-1.2 * r}Z`,
    (r) =>
        `M${-r / 3} ${-r}H${r / 3}V${-r / 3}H${r}V${r / 3}H${r / 3}V${r}H${-r / 3}V${r / 3}H${-r}` +
        `V${-r / 3}H${-r / 3}Z`,
    (r) => `M${-r} ${-r}L${r} ${r}H${-r}L${r} ${-r}Z`,
    (r) => `M${-r} ${-r}L${r} ${r}V${-r}L${-r} ${r}Z`,
];

// Layers keep their colour in every figure; variants of a layer differ by dash and marker.
function look(layer, variant = 0) {
    const turn = Math.floor(layer / COLOURS);
    return {
        colour: `var(--c${layer % COLOURS})`,
        dash: DASHES[(turn + variant) % DASHES.length],
        marker: MARKERS[(layer + 3 * turn + 3 * variant) % MARKERS.length],
    };
}

function swatch(parent, style) {
    const picture = draw(parent, "svg", {
        class: "swatch",
        viewBox: "0 0 34 14",
        "aria-hidden": "true",
    });
    draw(picture, "path", {
        d: "M1 7H33",
        fill: "none",
        stroke: style.colour,
        "stroke-width": 2,
        "stroke-dasharray": style.dash,
    });
    draw(picture, "path", {d: style.marker(4), transform: "translate(17 7)", fill: style.colour});
}

// ---- scales ------------------------------------------------------------------------------------

function scale(low, high, from, to, isLog) {
    const turn = isLog ? Math.log : (value) => value;
    const span = turn(high) - turn(low) || 1;
    return (value) => from + ((to - from) * (turn(value) - turn(low))) / span;
}

function logTicks(low, high, most) {
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
        const found = [];
        for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
            for (const step of steps) {
                const value = Number(`${step}e${power}`);
                if (value >= low && value <= high) found.push(value);
            }
        }
        if (found.length <= most) return found;
    }
    return [low, high];
}

function linearTicks(low, high, most) {
    const rough = (high - low) / most || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++)
        found.push(Number((i * step).toPrecision(9)));
    return found;
}

// As many of the values as fit without touching.
function thinned(values, position, gap) {
    const kept = [];
    for (const value of values) {
        if (!kept.length || Math.abs(position(value) - position(kept.at(-1))) >= gap)
            kept.push(value);
    }
    return kept;
}

// ---- a figure: picture, values on hover or by keys, table behind it ----------------------------

const drawn = new Map(); // host element to the function that draws its picture again

// spec: label (text alternative), title, key, paint(svg, width) -> {height, points},
// table() -> what tableInto takes
function figure(host, spec) {
    const wasOpen = host.querySelector("details")?.open ?? false;
    empty(host);
    if (spec.title) make(host, "h4", {}, spec.title);
    const box = make(host, "div", {class: "figure"});
    const repaint = () => {
        const width = Math.max(240, Math.floor(box.clientWidth));
        const hadFocus = box.contains(document.activeElement);
        empty(box);
        const svg = draw(box, "svg", {
            class: "plot",
            tabindex: 0,
            role: "application",
            "aria-roledescription": "figure",
            "aria-label": `${spec.label} Arrow keys tell the values.`,
        });
        const {height, points} = spec.paint(svg, width);
        filled(svg, {viewBox: `0 0 ${width} ${height}`, width, height});
        explore(box, svg, points, width);
        if (hadFocus) svg.focus();
        return width;
    };
    drawn.set(host, {repaint, box, width: repaint()});
    if (spec.key) colourKey(host, spec.key);
    if (spec.table) {
        const details = make(host, "details");
        make(details, "summary", {}, `Values as a table: ${spec.title ?? spec.label}`);
        const fill = () => {
            if (details.open && details.childElementCount === 1) tableInto(details, spec.table());
        };
        details.addEventListener("toggle", fill);
        details.open = wasOpen;
        fill();
    }
}

function repaintAll() {
    for (const [host, entry] of drawn) {
        if (!host.isConnected) drawn.delete(host);
        else if (entry.box.clientWidth && Math.floor(entry.box.clientWidth) !== entry.width) {
            entry.width = entry.repaint();
        }
    }
}

function colourKey(host, entries) {
    const list = make(host, "ul", {class: "key"});
    for (const entry of entries) {
        const item = make(list, "li");
        if (entry.look) swatch(item, entry.look);
        else
            make(item, "span", {class: "chip", "aria-hidden": "true"}).style.background =
                entry.colour;
        make(item, "span", {}, entry.name);
    }
}

// Next point in the direction of an arrow key.
function neighbour(points, at, key) {
    const here = points[at];
    let best = at,
        least = Infinity;
    points.forEach((point, i) => {
        const dx = point.x - here.x,
            dy = point.y - here.y;
        const cost = {
            ArrowRight: point.row === here.row && dx > 0 ? dx : Infinity,
            ArrowLeft: point.row === here.row && dx < 0 ? -dx : Infinity,
            ArrowDown: dy > 0 ? dy + 4 * Math.abs(dx) : Infinity,
            ArrowUp: dy < 0 ? -dy + 4 * Math.abs(dx) : Infinity,
        }[key];
        if (cost < least) [best, least] = [i, cost];
    });
    return best;
}

// The point under the pointer: the cell that holds it, or the nearest mark.
function pointAt(points, x, y) {
    const reach = 40;
    let best = -1,
        least = reach;
    points.forEach((point, i) => {
        const dx = Math.max(Math.abs(x - point.x) - (point.w ?? 0) / 2, 0);
        const dy = Math.max(Math.abs(y - point.y) - (point.h ?? 0) / 2, 0);
        const distance = Math.hypot(dx, dy);
        if (distance < least) [best, least] = [i, distance];
    });
    return best;
}

function explore(box, svg, points, width) {
    if (!points.length) return;
    const ring = draw(svg, "rect", {class: "here", visibility: "hidden"});
    const tip = make(box, "div", {class: "tip"});
    const spoken = make(box, "p", {class: "hidden", "aria-live": "polite"});
    let at = -1;
    tip.hidden = true;
    const show = (i, speak) => {
        at = i;
        tip.hidden = i < 0;
        ring.setAttribute("visibility", i < 0 ? "hidden" : "visible");
        if (i < 0) return;
        const point = points[i],
            w = point.w ?? 14,
            h = point.h ?? 14;
        filled(ring, {
            x: point.x - w / 2,
            y: point.y - h / 2,
            width: w,
            height: h,
            rx: point.w ? 2 : 7,
        });
        tip.textContent = point.text;
        if (speak) spoken.textContent = point.text;
        const left =
            point.x + 12 + tip.offsetWidth > width ? point.x - tip.offsetWidth - 12 : point.x + 12;
        tip.style.left = `${Math.max(0, Math.min(left, width - tip.offsetWidth))}px`;
        tip.style.top = `${Math.max(0, point.y - h / 2 - tip.offsetHeight - 6)}px`;
    };
    const follow = (event) => {
        const frame = svg.getBoundingClientRect();
        const zoom = width / frame.width;
        show(
            pointAt(
                points,
                (event.clientX - frame.left) * zoom,
                (event.clientY - frame.top) * zoom,
            ),
            false,
        );
    };
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", () => show(-1, false));
    svg.addEventListener("blur", () => show(-1, false));
    svg.addEventListener("keydown", (event) => {
        if (event.key === "Escape") show(-1, false);
        else if (event.key.startsWith("Arrow"))
            show(at < 0 ? 0 : neighbour(points, at, event.key), true);
        else return;
        event.preventDefault();
    });
}

// ---- kinds of pictures -------------------------------------------------------------------------

function frameOf(svg, width, spec) {
    const area = {left: 52, right: width - 14, top: 26, bottom: (spec.height ?? 380) - 44};
    const x = scale(...spec.x.range, area.left + 6, area.right - 6, spec.x.log);
    const y = scale(...spec.y.range, area.bottom - 4, area.top + 4, spec.y.log);
    const rowsOfTicks = Math.floor((area.bottom - area.top) / 34);
    for (const tick of (spec.y.log ? logTicks : linearTicks)(...spec.y.range, rowsOfTicks)) {
        draw(svg, "path", {class: "grid", d: `M${area.left} ${y(tick)}H${area.right}`});
        draw(
            svg,
            "text",
            {x: area.left - 6, y: y(tick) + 4, "text-anchor": "end"},
            (spec.y.text ?? plain)(tick),
        );
    }
    const columns =
        spec.x.ticks ?? (spec.x.log ? logTicks : linearTicks)(...spec.x.range, width / 70);
    for (const tick of thinned(columns, x, spec.x.gap ?? 38)) {
        draw(svg, "path", {class: "axis", d: `M${x(tick)} ${area.bottom}v5`});
        draw(
            svg,
            "text",
            {x: x(tick), y: area.bottom + 19, "text-anchor": "middle"},
            (spec.x.text ?? plain)(tick),
        );
    }
    draw(svg, "path", {class: "axis", d: `M${area.left} ${area.bottom}H${area.right}`});
    draw(svg, "text", {x: 0, y: 12, class: "muted"}, spec.y.title);
    draw(
        svg,
        "text",
        {x: area.right, y: area.bottom + 37, "text-anchor": "end", class: "muted"},
        spec.x.title,
    );
    return {area, x, y};
}

function verticalEnds(svg, ends, area, x) {
    for (const end of ends) {
        draw(svg, "path", {class: "end", d: `M${x(end.x)} ${area.top}V${area.bottom}`});
        draw(
            svg,
            "text",
            {class: "small muted", x: x(end.x) - 4, y: area.top + 10, "text-anchor": "end"},
            end.text,
        );
    }
}

// Height of a line at some x, straight between points in the scales of the axes.
function onLine(points, value) {
    const i = points.findIndex((point) => point.x >= value);
    if (i < 1) return null;
    const [a, b] = [points[i - 1], points[i]];
    const share = Math.log(value / a.x) / Math.log(b.x / a.x);
    return Math.exp(Math.log(a.y) + share * Math.log(b.y / a.y));
}

// series: [{look, points: [{x, y, lo, hi, text}], ends: [{x, text}]}]
function paintLines(svg, width, spec) {
    const {area, x, y} = frameOf(svg, width, spec);
    const found = [];
    verticalEnds(svg, spec.ends ?? [], area, x);
    spec.series.forEach((series, row) => {
        const {look: style, points} = series;
        for (const point of points.filter((each) => isNumber(each.lo) && isNumber(each.hi))) {
            draw(svg, "path", {
                class: "band",
                stroke: style.colour,
                d: `M${x(point.x)} ${y(point.lo)}V${y(point.hi)}`,
            });
        }
        draw(svg, "path", {
            class: "curve",
            stroke: style.colour,
            "stroke-dasharray": style.dash,
            d: points.map((p, i) => `${i ? "L" : "M"}${x(p.x)} ${y(p.y)}`).join(""),
        });
        for (const point of points) {
            draw(svg, "path", {
                d: style.marker(4),
                fill: style.colour,
                transform: `translate(${x(point.x)} ${y(point.y)})`,
            });
            found.push({x: x(point.x), y: y(point.y), row, text: point.text});
        }
        for (const end of series.ends ?? []) {
            const height = onLine(points, end.x);
            if (height === null) continue;
            draw(svg, "path", {
                stroke: style.colour,
                "stroke-width": 2,
                d: `M${x(end.x)} ${y(height) - 9}v18`,
            });
            draw(svg, "text", {class: "small muted", x: x(end.x) + 3, y: y(height) - 6}, end.text);
        }
    });
    return {height: spec.height ?? 380, points: found};
}

// Place of a value between columns of equal width, in logarithms; null outside.
function betweenColumns(columns, value, centre) {
    for (let i = 0; i + 1 < columns.length; i++) {
        if (value >= columns[i] && value <= columns[i + 1]) {
            const share = Math.log(value / columns[i]) / Math.log(columns[i + 1] / columns[i]);
            return centre(i) + share * (centre(i + 1) - centre(i));
        }
    }
    return null;
}

// A ratio is blue above 1, orange below, the stronger the further away; other cells bring a colour.
function cellFill(cell) {
    if (!("value" in cell)) return {fill: cell.colour ?? "none", "fill-opacity": 0.3};
    return {
        fill: cell.value > 1 ? "var(--good)" : "var(--bad)",
        "fill-opacity": Math.min(1, 0.15 + Math.abs(Math.log2(cell.value)) / 3),
    };
}

// rows: [{name, cells: [{value, text} or null], cross: {at, low, high}}]; value is a ratio
function paintHeat(svg, width, spec) {
    const left = spec.left ?? 46,
        top = 18,
        side = 30;
    const columnWidth = (width - left - 2) / spec.columns.length;
    const centre = (i) => left + (i + 0.5) * columnWidth;
    const bottom = top + side * spec.rows.length;
    const found = [];
    draw(svg, "text", {class: "small muted", x: 0, y: 11}, spec.rowTitle);
    draw(
        svg,
        "text",
        {class: "small muted", x: width, y: bottom + 30, "text-anchor": "end"},
        spec.columnTitle,
    );
    thinned(
        spec.columns.map((_, i) => i),
        centre,
        30,
    ).forEach((i) => {
        draw(
            svg,
            "text",
            {class: "small", x: centre(i), y: bottom + 15, "text-anchor": "middle"},
            spec.columns[i],
        );
    });
    spec.rows.forEach((row, r) => {
        const y = top + r * side;
        draw(svg, "text", {class: "small", x: left - 5, y: y + 18, "text-anchor": "end"}, row.name);
        row.cells.forEach((cell, i) => {
            const box = {x: left + i * columnWidth, y, width: columnWidth, height: side};
            draw(svg, "rect", {class: "cell none", ...box});
            if (!cell) return;
            draw(svg, "rect", {class: "cell", ...box, ...cellFill(cell)});
            draw(
                svg,
                "text",
                {class: "small", x: centre(i), y: y + 16, "text-anchor": "middle"},
                cell.short ?? ratioText(cell.value),
            );
            found.push({
                x: centre(i),
                y: y + side / 2,
                w: columnWidth,
                h: side,
                row: r,
                text: cell.text,
            });
        });
        if (row.cross) crossMark(svg, spec.columns, row.cross, centre, y + side);
    });
    return {height: bottom + 38, points: found};
}

function crossMark(svg, columns, cross, centre, y) {
    const x = betweenColumns(columns, cross.at, centre);
    if (x === null) return;
    if (isNumber(cross.low) || isNumber(cross.high)) {
        const low = betweenColumns(columns, cross.low, centre) ?? centre(0);
        const high = betweenColumns(columns, cross.high, centre) ?? centre(columns.length - 1);
        draw(svg, "path", {class: "cross", d: `M${low} ${y - 5}H${high}`});
    }
    draw(svg, "path", {
        class: "diamond",
        d: MARKERS[3](3.5),
        transform: `translate(${x} ${y - 5})`,
    });
}

// rows: [{name, note, pieces: [{share, colour, name, text}]}]
function paintBars(svg, width, spec) {
    const left = 46,
        right = width - 52,
        top = 20,
        side = 26;
    const found = [];
    draw(svg, "text", {class: "small muted", x: 0, y: 11}, spec.rowTitle);
    draw(
        svg,
        "text",
        {class: "small muted", x: width, y: 11, "text-anchor": "end"},
        spec.noteTitle,
    );
    spec.rows.forEach((row, r) => {
        const y = top + r * side;
        let x = left;
        draw(svg, "text", {class: "small", x: left - 5, y: y + 16, "text-anchor": "end"}, row.name);
        for (const piece of row.pieces) {
            const wide = piece.share * (right - left);
            draw(svg, "rect", {
                class: "cell",
                x,
                y,
                width: Math.max(wide, 0.5),
                height: side - 3,
                fill: piece.colour,
            });
            if (wide > 7 * piece.name.length + 6) {
                draw(
                    svg,
                    "text",
                    {class: "on-segment", x: x + wide / 2, y: y + 16, "text-anchor": "middle"},
                    piece.name,
                );
            }
            found.push({
                x: x + wide / 2,
                y: y + (side - 3) / 2,
                w: wide,
                h: side - 3,
                row: r,
                text: piece.text,
            });
            x += wide;
        }
        draw(svg, "text", {class: "small", x: width, y: y + 16, "text-anchor": "end"}, row.note);
    });
    return {height: top + side * spec.rows.length + 6, points: found};
}

// bars: [{name, count, text}]
function paintCounts(svg, width, spec) {
    const top = 20,
        bottom = 150,
        wide = (width - 30) / spec.bars.length;
    const most = Math.max(...spec.bars.map((bar) => bar.count), 1);
    const found = [];
    draw(svg, "text", {class: "small muted", x: 0, y: 11}, spec.title);
    draw(svg, "path", {class: "axis", d: `M15 ${bottom}H${width - 15}`});
    spec.bars.forEach((bar, i) => {
        const high = ((bottom - top - 14) * bar.count) / most,
            x = 15 + i * wide;
        draw(svg, "rect", {
            class: "bar",
            x: x + 1,
            y: bottom - high,
            width: wide - 2,
            height: high,
        });
        draw(
            svg,
            "text",
            {class: "small", x: x + wide / 2, y: bottom - high - 4, "text-anchor": "middle"},
            bar.count,
        );
        draw(
            svg,
            "text",
            {class: "small", x: x + wide / 2, y: bottom + 15, "text-anchor": "middle"},
            bar.name,
        );
        found.push({
            x: x + wide / 2,
            y: bottom - high / 2,
            w: wide,
            h: Math.max(high, 4),
            row: 0,
            text: bar.text,
        });
    });
    return {height: bottom + 24, points: found};
}
