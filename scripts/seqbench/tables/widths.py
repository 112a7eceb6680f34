"""width.csv: layer over block with vectors of several widths, measured and by operations."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import ratios
from seqbench.tables.counted import best_cells

ALIKE = [("cpu", "model"), ("cpu", "measured_core"), ("build", "commit"), ("build", "compiler")]


def by_lanes(run_dirs: list[Path]) -> dict[int, Path]:
    """The runs by their width, from the narrowest; on one core, of one build but for the width."""
    found, first = {}, hosts.load(run_dirs[0])
    for run_dir in run_dirs:
        host = hosts.load(run_dir)
        lanes = hosts.value(host, "build", "lanes")
        if not isinstance(lanes, int):
            raise runs.RunError(f"{run_dir / 'host.json'}: build: lanes is missing")
        if lanes in found:
            raise runs.RunError(f"{run_dir}: {lanes} lanes as {found[lanes]}")
        for place in ALIKE:
            one, other = hosts.value(first, *place), hosts.value(host, *place)
            if one != other:
                raise runs.RunError(f"{run_dir}: another {' '.join(place)} than in {run_dirs[0]}: "
                                    f"{other}, not {one}")
        found[lanes] = run_dir
    return dict(sorted(found.items()))


def widths(run_dirs: list[Path]) -> pd.DataFrame:
    """width.csv."""
    every = [best_cells(folder).assign(lanes=lanes) for lanes, folder in
             by_lanes(run_dirs).items()]
    table = pd.concat(every, ignore_index=True).rename(
        columns={"ci_low": "ratio_low", "ci_high": "ratio_high"})
    if table.empty:
        raise runs.RunError(f"{run_dirs[0]}: no layer was timed in a cell of the Transformer block")
    for name in [name for name in runs.ACROSS if name != "hid_size"]:
        if table.groupby("hid_size")[name].nunique().max() > 1:
            raise runs.RunError(f"{run_dirs[0]}: {name} has several values; widths are compared "
                                "at one")
    order = ["layer", *runs.ACROSS, "seq_len", "lanes"]
    return table.sort_values(order)[list(runs.schema(runs.README, "width.csv"))]


def crossings(run_dirs: list[Path]) -> pd.DataFrame:
    """Rows of crossover.csv at equal model size, with the lanes of their run."""
    found = []
    for lanes, folder in by_lanes(run_dirs).items():
        best = ratios.best_class(runs.load_summary(folder))
        rows = ratios.through(runs.load_derived(folder, "crossover.csv"), ratios.PARAMETER, best)
        found.append(rows.assign(lanes=lanes))
    return pd.concat(found, ignore_index=True)
