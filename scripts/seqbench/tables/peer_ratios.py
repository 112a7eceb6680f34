"""Set our fastest variants beside oneDNN and PyTorch: peers.csv, tables and a figure."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import differences

EAGER = "torch-eager"  # by hand, of layers that torch.nn has not: in the place of torch
PEERS = ["onednn", "torch"]  # whose time is set beside ours in every table
FASTER = "faster"  # the faster of the peers in a cell
CELL = ["layer", *runs.DIMENSIONS]
RATIO = ["ratio", "ci_low", "ci_high"]


# ---- which kernels meet ------------------------------------------------------------------------


def load(folder: Path) -> pd.DataFrame:
    """The samples of the whole layers of a run."""
    samples = runs.samples_with_tokens(folder)
    return samples[samples.kind == "layer"]


def of_one_precision(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples of float32; if there are none, of the only other precision, its peers renamed so."""
    is_narrow = runs.is_narrow(samples.engine)
    if not is_narrow.all():
        return samples[~is_narrow]
    endings = samples.engine.str.extract(runs.NARROW)[0].unique()
    if len(endings) > 1:
        raise runs.RunError(f"engines of several precisions ({', '.join(endings)}): compare one")
    ending = f"-{endings[0]}"
    return samples.replace({"engine": {f"{peer}{ending}": peer for peer in PEERS}})


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
    samples = samples.replace({"engine": {EAGER: "torch"}})
    ours = fastest(samples[~samples.engine.isin(PEERS)])
    theirs = {peer: fastest(samples[samples.engine == peer]) for peer in PEERS}
    if ours.empty or all(chosen.empty for chosen in theirs.values()):
        raise runs.RunError("no cell with a good sample of ours and of a peer")
    theirs[FASTER] = faster_peer(theirs)
    frame = ours.rename(columns={"kernel": "ours", "engine": "ours_engine", "ns": "ours_ns"})
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
