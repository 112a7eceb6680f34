"""Set our fastest variants beside oneDNN and PyTorch: peers.csv, tables and a figure."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import differences

OURS = ["openblas", "packed"]
PEERS = ["onednn", "torch"]
FASTER = "faster"  # the faster of the peers in a cell
CELL = ["layer", "seq_len", "hid_size", "heads"]
RATIO = ["ratio", "ci_low", "ci_high"]


# ---- which kernels meet ------------------------------------------------------------------------


def load(folder: Path) -> pd.DataFrame:
    """The samples of the whole layers of a run, with the engine of each kernel."""
    path = folder / "kernels.csv"
    engines = runs.read_columns(path, runs.schema(runs.README, "kernels.csv"))
    samples = runs.load_samples(folder)
    samples = samples[samples.kind == "layer"]
    engine = samples.kernel.map(dict(zip(engines.kernel, engines.engine)))
    runs.refuse(path, engine.isna(), "a kernel of samples.csv is missing")
    return samples.assign(engine=engine)


def cell_times(samples: pd.DataFrame) -> pd.DataFrame:
    """Median over rounds of the rounds' medians, per cell and kernel, in ns."""
    logs = differences.round_medians(samples).median(axis=1).dropna()
    return np.exp(logs).rename("ns").reset_index()[["kernel", *CELL, "ns"]]


def fastest(samples: pd.DataFrame, engines: list[str]) -> pd.DataFrame:
    """The fastest kernel of these engines in each cell: kernel and ns, indexed by cell."""
    times = cell_times(samples[samples.engine.isin(engines)])
    return times.loc[times.groupby(CELL).ns.idxmin()].set_index(CELL)


def as_one_kernel(samples: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The samples of the chosen kernels under one name per layer, so that runs can be compared."""
    names = chosen.kernel.reindex(pd.MultiIndex.from_frame(samples[CELL])).to_numpy()
    kept = samples[samples.kernel.to_numpy() == names]
    return kept.assign(kernel=kept.layer + "/chosen", variant="chosen")


# ---- ratios ------------------------------------------------------------------------------------


def compared(samples: pd.DataFrame, ours: pd.DataFrame, theirs: pd.DataFrame):
    """Ratio theirs / ours with its interval, per cell and per layer."""
    if theirs.empty:
        return pd.DataFrame(columns=RATIO), pd.DataFrame(columns=RATIO)
    cells, groups = differences.compare(as_one_kernel(samples, ours),
                                       as_one_kernel(samples, theirs))
    cells = cells.rename(columns={"time_ratio": "ratio"}).set_index(CELL)
    groups = groups.rename(columns={"time_ratio": "ratio"}).set_index("group")
    return cells[RATIO], groups[RATIO]


def faster_peer(theirs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The faster peer in each cell."""
    every = pd.concat([chosen.assign(peer=peer).reset_index() for peer, chosen in theirs.items()],
                      ignore_index=True)
    return every.loc[every.groupby(CELL).ns.idxmin()].set_index(CELL)


def peers(samples: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """peers.csv, and per peer the geometric means of the layers."""
    ours = fastest(samples, OURS)
    theirs = {peer: fastest(samples, [peer]) for peer in PEERS}
    if ours.empty or all(chosen.empty for chosen in theirs.values()):
        raise runs.RunError("no cell with a good sample of ours and of a peer")
    theirs[FASTER] = faster_peer(theirs)
    frame = ours.rename(columns={"kernel": "ours", "ns": "ours_ns"})
    groups = {}
    for peer, chosen in theirs.items():
        cells, groups[peer] = compared(samples, ours, chosen)
        if peer == FASTER:
            frame["faster_peer"] = chosen.peer.reindex(frame.index).fillna("")
        else:
            frame[f"{peer}_ns"] = chosen.ns.reindex(frame.index)
        for column in RATIO:
            frame[f"{peer}_{column}"] = cells[column].reindex(frame.index)
    order = list(runs.schema(runs.README, "peers.csv"))
    frame = frame.sort_index().reset_index()[order]
    numbers = [name for name in order if name.endswith(("_ns", *RATIO))]
    return frame.astype(dict.fromkeys(numbers, float)), groups
