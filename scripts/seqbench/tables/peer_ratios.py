"""Our fastest kernels beside whole layers of other libraries: peers.csv, a row per peer and cell."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import differences

CELL = ["layer", *runs.DIMENSIONS]
RATIO = ["ratio", "ci_low", "ci_high"]
AHEAD, LEVEL, BEHIND = "ahead", "no difference", "behind"  # of ours


# ---- which kernels meet ------------------------------------------------------------------------


def load(folder: Path) -> pd.DataFrame:
    """The samples of the whole layers of a run."""
    samples = runs.samples_with_tokens(folder)
    return samples[samples.kind == "layer"]


def weights_of(engines: pd.Series) -> pd.Series:
    """How engines store weights: bf16, int8; empty: as float32."""
    return engines.str.extract(runs.NARROW)[0].fillna("")


def cell_times(samples: pd.DataFrame) -> pd.DataFrame:
    """Median over rounds of the rounds' medians, per cell, kernel and engine, in ns."""
    logs = differences.round_medians(samples).median(axis=1).dropna()
    return np.exp(logs).rename("ns").reset_index()[[*runs.KERNEL, *CELL, "ns"]]


def fastest(samples: pd.DataFrame) -> pd.DataFrame:
    """The fastest kernel in each cell: kernel, engine and ns, indexed by cell."""
    times = cell_times(samples)
    return times.loc[times.groupby(CELL).ns.idxmin()].set_index(CELL)


def as_one_kernel(samples: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The samples of the chosen kernels under one name per layer, so that runs can be compared."""
    names = chosen[runs.KERNEL].reindex(pd.MultiIndex.from_frame(samples[CELL])).to_numpy()
    kept = samples[(samples[runs.KERNEL].to_numpy() == names).all(axis=1)]
    return kept.assign(kernel=kept.layer + "/chosen", variant="chosen", engine="chosen")


# ---- ratios ------------------------------------------------------------------------------------


def verdict(low: float, high: float) -> str:
    """Whether ours takes less time, by the interval of theirs over ours."""
    if low > 1:
        return AHEAD
    return BEHIND if high < 1 else LEVEL


def beside(samples: pd.DataFrame, ours: pd.DataFrame, engine: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One engine of a peer over ours: a row per cell that both have, and the means of the layers."""
    theirs = fastest(samples[samples.engine == engine])
    theirs = theirs[theirs.index.isin(ours.index)]
    if theirs.empty:
        return pd.DataFrame(), pd.DataFrame()
    cells, groups = differences.compare(as_one_kernel(samples, ours[ours.index.isin(theirs.index)]),
                                        as_one_kernel(samples, theirs))
    rows = theirs.join(ours, rsuffix="_ours").rename(
        columns={"kernel_ours": "ours", "engine_ours": "ours_engine", "ns_ours": "ours_ns"})
    rows = rows.join(cells.rename(columns={"time_ratio": "ratio"}).set_index(CELL)[RATIO])
    groups = groups.rename(columns={"time_ratio": "ratio"}).set_index("group")[RATIO]
    return rows.reset_index(), groups.assign(engine=engine)


def peers(samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """peers.csv, and the geometric means: by layer, a row per engine of a peer.

    Engines meet those of ours that store weights alike.
    """
    tables, means = [], []
    for _, alike in samples.groupby(weights_of(samples.engine)):
        is_peer = runs.is_peer(alike.engine)
        if is_peer.all() or not is_peer.any():
            continue
        ours = fastest(alike[~is_peer])
        for engine in sorted(set(alike.engine[is_peer])):
            rows, groups = beside(alike, ours, engine)
            tables.append(rows)
            means.append(groups)
    found = [table for table in tables if not table.empty]
    if not found:
        raise runs.RunError("no cell with a good sample of ours and of a peer")
    frame = pd.concat(found, ignore_index=True)
    frame.insert(0, "peer", runs.library_of(frame.engine))
    frame["verdict"] = [verdict(low, high) for low, high in zip(frame.ci_low, frame.ci_high)]
    order = list(runs.schema(runs.README, "peers.csv"))
    frame = frame.sort_values(["engine", *CELL], ignore_index=True)[order]
    return frame, pd.concat(means)


def fastest_peers(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the fastest peer in each cell, among those that store weights alike."""
    by = [weights_of(frame.engine).rename("weights"), *(frame[name] for name in CELL)]
    return frame.loc[frame.groupby(by).ns.idxmin()].sort_values(["engine", *CELL])
