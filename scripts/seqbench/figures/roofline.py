"""Time over the bound that the roofs set."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (LIGHT, Drawing, Figure, Kind, Panel, Run, Skip, case_text,
                                      layer_panels, lines_of, log_log)
from seqbench.read import runs
from seqbench.tables import rates
from seqbench.words import wording


def cache_ends(rows: pd.DataFrame, caches: tuple[float, ...]) -> dict[str, float]:
    """The HidSize at which the working set leaves each cache, where that is within the rows."""
    table = rows.groupby("hid_size").working_set_bytes.median()
    table = table[table > 0]
    if len(table) < 2 or not (np.diff(table) > 0).all():
        return {}
    logs = np.log(table.to_numpy())
    return {rates.level_name(caches, i):
            float(np.exp(np.interp(np.log(size), logs, np.log(table.index))))
            for i, size in enumerate(caches) if logs[0] < np.log(size) < logs[-1]}


def text(row) -> str:
    """A case, its time and its bound."""
    return (f"{case_text(row)}\n{row.times:.3g} times the bound, "
            f"{wording.duration(row.bound_ns)}\n"
            f"reads {runs.bytes_text(row.working_set_bytes)} again")


def with_ends(panel: Panel, ends: dict[str, float]) -> Panel:
    """The panel with the ends of the caches."""
    def draw(axes: Axes) -> None:
        panel.draw(axes)
        axes.axhline(1, color=LIGHT["muted"], linewidth=0.8)
        for name, end in ends.items():
            axes.axvline(end, color=LIGHT["muted"], linewidth=1, linestyle=(0, (2, 2)))
            axes.annotate(f"{name} ends", (end, 0.98), xycoords=("data", "axes fraction"),
                          xytext=(-3, 0), textcoords="offset points", rotation=90,
                          va="top", ha="right", fontsize=7, color=LIGHT["muted"])

    return replace(panel, draw=draw)


def draw(run: Run) -> Drawing:
    """One panel per layer, with the ends of the caches."""
    table = run.table("roofline.csv")
    keys = [*runs.CASE, "tokens"]
    known = table[[*keys, "working_set_bytes", "bound_ns", "share"]].dropna(subset="share")
    rows = lines_of(run, False)[0].merge(known, on=keys)
    if rows.empty:
        raise Skip("no roof was timed that bounds a layer")
    rows["times"] = 1 / rows.share
    kind = Kind("HidSize (channels)", "time / bound", log_log(rows.hid_size))
    panels, looks = layer_panels(run, rows, kind, "hid_size", "times", ("seq_len", "SeqLen"), text,
                                 with_reference=False)
    caches = rates.cache_sizes(run.host)
    ends = [cache_ends(group, caches) for _, group in sorted(
        rows.groupby(["layer", "tokens"]), key=lambda one: (
            run.in_order(rows.layer).index(one[0][0]), one[0][1]))]
    return Drawing("fastest variant; 1 is the bound from this run's own roofs, and below it a "
                   "kernel reads its weights faster than roof/read does; dotted: what it reads "
                   "again and again leaves a cache",
                   [with_ends(*pair) for pair in zip(panels, ends)], looks,
                   columns=3 if len(panels) < 4 else 4)


FIGURES = [Figure(place=8, name="roofline",
                title="Time of each layer over the bound from the roofs",
                alt="Time of each layer over the bound from the roofs, over HidSize",
                draw=draw)]
