"""Machines side by side: the roofs of each, and where its layers beat the Transformer block."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import rates, ratios
from seqbench.words import answer, wording

COUNTED = "by operations, on any machine"
EVERYWHERE = "everywhere"


def in_level(curve: rates.Curve, caches: tuple[float, ...], level: int) -> float:
    """Median time per byte (ns) of the sizes that this level is the smallest to hold."""
    name = rates.level_name(caches, level)
    found = [ns for size, ns in zip(curve.sizes, curve.ns_per_byte)
             if rates.level_of(caches, size) == name]
    return float(np.median(found)) if found else np.nan


def number(value: float) -> str:
    """A rate, or a dash."""
    return wording.plain(value) if np.isfinite(value) else "-"


def roof_cells(found: rates.Roofs) -> list[tuple[str, float]]:
    """Names and values: FMA, sgemm, sgemv with its matrix in L2, L3 and memory (GFLOP/s).

    Then reading L2, L3 and memory (GB/s), and how much faster sgemm is than sgemv in each.
    """
    levels = range(1, len(found.caches) + 1)
    names = [rates.level_name(found.caches, level) for level in levels]
    flops_per_byte = 2 / 4  # a multiply-add on each float of the matrix
    gemv = [flops_per_byte / in_level(found.sgemv, found.caches, level) for level in levels]
    return [("fma GFLOP/s", found.fma), ("sgemm GFLOP/s", found.sgemm),
             *((f"sgemv in {name} GFLOP/s", rate) for name, rate in zip(names, gemv)),
             *((f"read {name} GB/s", rate) for name, rate in zip(names, found.level_rates()[1:])),
             *((f"sgemm / sgemv in {name}", found.sgemm / rate) for name, rate in zip(names, gemv))]


def roof_table(machines: dict[str, rates.Roofs]) -> str:
    """The roofs of each machine, as markdown."""
    cells = {name: dict(roof_cells(found)) for name, found in machines.items()}
    header = max(cells.values(), key=len)
    rows = [[name, *(number(values.get(title, np.nan)) for title in header)]
            for name, values in cells.items()]
    return wording.markdown_table(["machine", *header], rows)


def where_faster(found: pd.DataFrame, layer: str) -> tuple[dict[int, str], dict[int, str]]:
    """Per HidSize where a layer is faster than the block: measured, and by operation counts."""
    rows = found[(found.layer == layer) & (found.engine == runs.HEADLINE)]
    measured = {row.hid_size: wording.faster_where(row) for row in rows.itertuples()}
    counted = {row.hid_size: wording.faster_by_counts(row) for row in rows.itertuples()}
    return measured, counted


def crossovers(machines: dict[str, pd.DataFrame]) -> str:
    """A table of where each layer of the article is faster; one sentence where it always is."""
    sizes = sorted({size for found in machines.values() for size in found.hid_size})
    rows, always = [], []
    for layer in answer.ARTICLE:
        lines, counted = {}, {}
        for name, found in machines.items():
            lines[name], by_counts = where_faster(found, layer)
            counted |= by_counts
        lines[COUNTED] = counted
        words = {word for cells in lines.values() for word in cells.values()}
        if words == {EVERYWHERE}:
            always.append(layer)
        elif words:
            rows += [[layer, name, *(cells.get(size, "-") for size in sizes)]
                     for name, cells in lines.items()]
    header = ["layer", "faster", *(f"H {size}" for size in sizes)]
    texts = [wording.markdown_table(header, rows)] if rows else []
    if always:
        texts.append(f"Faster at every SeqLen and HidSize on each of them: "
                     f"{wording.listing(always)}.")
    return "\n\n".join(texts)


def section(root: Path, folders: list[str]) -> str:
    """The README's part on several machines, from a run of each."""
    machines = {folder: hosts.load(root / folder) for folder in folders}
    names = {folder: chr(ord("A") + i) for i, folder in enumerate(folders)}
    lines = [f"- {names[folder]}: [{hosts.setup_name(host)}]({folder})"
             for folder, host in machines.items()]
    found = {names[folder]: rates.roofs_of(runs.load_summary(root / folder), host)
             for folder, host in machines.items()}
    crossed = {names[folder]: ratios.through(runs.load_derived(root / folder, "crossover.csv"),
                                                ratios.LAYER) for folder in folders}
    return "\n\n".join(["\n".join(lines), roof_table(found),
                        f"SeqLen at which a layer is faster than the Transformer block "
                        f"({runs.HEADLINE} variants):", crossovers(crossed)])
