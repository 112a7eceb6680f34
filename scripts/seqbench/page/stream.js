"use strict";
const rows = JSON.parse(document.getElementById("data").textContent);
const deadline = document.getElementById("deadline"), quantile = document.getElementById("quantile");
const said = document.getElementById("said");

/* Cases that differ in HidSize only, smallest first. */
function families() {
    const found = new Map();
    for (const row of rows) {
        const key = [row.layer, row.kernel, row.tokens, row.perHead, row.between].join("\n");
        if (!found.has(key)) found.set(key, []);
        found.get(key).push(row);
    }
    for (const family of found.values()) family.sort((a, b) => a.h - b.h);
    return [...found.values()];
}

/* The last size before the first that misses. */
function largest(family, ns, place) {
    let met = null;
    for (const row of family) {
        if (row.ns[place] === null) continue;
        if (row.ns[place] > ns) return { met, isLast: false };
        met = row.h;
    }
    return { met, isLast: true };
}

function cell(line, text, isNumber) {
    const td = document.createElement("td");
    td.textContent = text;
    if (isNumber) td.className = "number";
    line.append(td);
}

function show() {
    const us = Number(deadline.value.replace(",", ".")), place = Number(quantile.value);
    const body = document.querySelector("#largest tbody");
    body.replaceChildren();
    const isGood = deadline.value.trim() !== "" && us > 0 && Number.isFinite(us);
    said.textContent = isGood ? "" : "Type a time in µs, above 0.";
    const lines = document.querySelectorAll("#cases tbody tr");
    rows.forEach((row, i) => {
        const td = lines[i].children[6 + place];
        for (const other of lines[i].children) other.classList.remove("meets", "misses");
        if (isGood && row.ns[place] !== null)
            td.classList.add(row.ns[place] <= us * 1000 ? "meets" : "misses");
    });
    if (!isGood) return;
    for (const family of families()) {
        if (family.every(row => row.ns[place] === null)) continue;
        const { met, isLast } = largest(family, us * 1000, place);
        const line = document.createElement("tr");
        const [first] = family;
        [first.layer, first.kernel, first.tokens, first.between].forEach(text => cell(line, text));
        cell(line, met === null ? "none" : isLast ? `${met} (largest timed)` : met, true);
        body.append(line);
    }
}

deadline.addEventListener("input", show);
quantile.addEventListener("change", show);
show();
