"""Machines side by side: the roofs of each, and where its layers take less time than a block."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import rates, ratios
from seqbench.words import answer, wording


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


def crossovers(machines: dict[str, pd.DataFrame]) -> str:
    """Where each layer of the article takes less time than a block of equal size, per machine."""
    every = pd.concat([found.assign(machine=name) for name, found in machines.items()])
    every = every[every.layer.isin(answer.ARTICLE)]
    labels = wording.size_labels(every)
    rows = []
    for (layer, name), group in every.groupby(["layer", "machine"]):
        words = {wording.size_of(row): wording.with_interval(row) for row in group.itertuples()}
        rows.append([layer, name, *(words.get(key, "-") for key in labels)])
    return wording.markdown_table(["layer", "machine", *labels.values()], rows)


def section(root: Path, folders: list[str], link: Callable[[str], str]) -> str:
    """Several machines, from a run of each."""
    machines = {folder: hosts.load(root / folder) for folder in folders}
    names = {folder: chr(ord("A") + i) for i, folder in enumerate(folders)}
    lines = [f"- {names[folder]}: [{hosts.setup_name(host)}]({link(folder)})"
             for folder, host in machines.items()]
    summaries = {folder: runs.load_summary(root / folder) for folder in folders}
    found = {names[folder]: rates.roofs_of(summaries[folder], host)
             for folder, host in machines.items()}
    crossed = {}
    for folder, summary in summaries.items():
        table = runs.load_derived(root / folder, "crossover.csv")
        seen = ratios.through(table, ratios.PARAMETER, ratios.best_class(summary))
        crossed[names[folder]] = seen
    return "\n\n".join(["\n".join(lines), roof_table(found),
                        "SeqLen S at which a layer takes less time than a Transformer block of "
                        "equal model size, with the 95 % interval of the crossing, each at its "
                        "fastest:", crossovers(crossed)])
