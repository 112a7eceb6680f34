"""Engines of fewer bytes per weight beside float32: times, what the roofs say, and errors."""
from __future__ import annotations

import pandas as pd

from seqbench.read import runs
from seqbench.tables import ratios

FLOAT32 = "packed"  # what the others are set against: the same panels


def narrow_engines(engines: pd.Series) -> list[str]:
    """Ours of a table that store weights in another way, in its order."""
    is_ours = runs.is_narrow(engines) & ~runs.is_peer(engines)
    return list(engines[is_ours].drop_duplicates())


def fastest(table: pd.DataFrame) -> pd.DataFrame:
    """The fastest variant of each layer and engine in each cell."""
    cells = table.groupby(["layer", "engine", *ratios.CELL])
    return table.loc[cells.median_ns.idxmin()]


def gains(roofline: pd.DataFrame) -> pd.DataFrame:
    """Per layer, cell and narrow engine: time of float32 over its time, and over the roofs' times.

    From roofline.csv. `gain` is measured, `expected` is the quotient of the two bounds, `share`
    that of the narrow engine's roof.
    """
    best = fastest(roofline[roofline.median_ns.notna() & (roofline.kind == "layer")])
    on = ["layer", *ratios.CELL]
    kept = [*on, "engine", "tokens", "median_ns", "bound_ns", "share"]
    narrow = best[best.engine.isin(narrow_engines(best.engine))][kept]
    pairs = narrow.merge(best[best.engine == FLOAT32][[*on, "median_ns", "bound_ns"]], on=on,
                         suffixes=("", "_float32"))
    return pairs.assign(gain=pairs.median_ns_float32 / pairs.median_ns,
                        expected=pairs.bound_ns_float32 / pairs.bound_ns)


def with_errors(table: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """Gains with the error of the same engine and size: that of the first window of tokens."""
    first = accuracy[accuracy.first_token == 1]
    errors = first.groupby(["layer", "engine", "hid_size"]).rms.max().rename("rms")
    return table.join(errors, on=["layer", "engine", "hid_size"])
