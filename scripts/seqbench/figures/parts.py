"""Where the time goes: shares of the parts, each timed alone."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (BOX, LIGHT, Drawing, Figure, Kind, Panel, Run, Skip, hues,
                                      no_scale, say, some)
from seqbench.tables import medians
from seqbench.tables.ratios import CELL
from seqbench.words import wording

MOST_SIZES, MOST_LENGTHS = 4, 9


def whole_over_sum(run: Run, layer: str, parts: pd.DataFrame) -> pd.Series:
    """Time of the algorithm that the parts are pieces of, over the sum of its parts, per cell.

    Of a layer that has no such algorithm: of the fastest.
    """
    whole = run.layers[run.layers.layer == layer]
    cut = run.kernels[run.kernels.parts == "yes"]
    pieces = whole.merge(cut[["kernel", "engine"]])
    times = (whole if pieces.empty else pieces).groupby(CELL).median_ns.min()
    return (times / parts.sum(axis=1)).dropna()


def draw_shares(axes: Axes, parts: pd.DataFrame, ratio: pd.Series, looks: dict) -> None:
    """Stacked columns, one per SeqLen, and above them the whole over the sum."""
    shares = parts.div(parts.sum(axis=1), axis=0) * 100
    bases = shares.cumsum(axis=1) - shares
    for part in shares:
        bars = axes.bar(range(len(shares)), shares[part], bottom=bases[part], width=0.9,
                        color=looks[part]["color"], alpha=looks[part]["alpha"])
        for bar, cell, share in zip(bars, shares.index, shares[part]):
            say(bar, [f"{part}: {share:.3g} %\n{wording.duration(parts[part][cell])} "
                      f"at S {cell[0]}, H {cell[1]}"])
    for i, cell in enumerate(shares.index):
        if cell in ratio.index:
            axes.text(i, 101, wording.ratio_text(ratio[cell]), ha="center", va="bottom", fontsize=7,
                      color=LIGHT["muted"])
    axes.set_xlim(-0.6, len(shares) - 0.4)
    axes.set_ylim(0, 110)
    axes.set_xticks(range(len(shares)), [cell[0] for cell in shares.index])
    axes.set_yticks(range(0, 101, 20))
    axes.grid(False)


def draw(run: Run) -> Drawing:
    """A panel per layer and HidSize."""
    layers = run.in_order(run.layers.layer)
    tables = {layer: medians.part_times(run.summary, layer) for layer in layers}
    tables = {layer: table for layer, table in tables.items() if table.size}
    if not tables:
        raise Skip("no parts were timed beside a whole layer")
    names = run.in_order([name for table in tables.values() for name in table], "variant")
    looks = {name: BOX | {"color": LIGHT[hue], "alpha": 0.5 + 0.5 * (i % 2 == 0 or hue != "grey")}
             for i, (name, hue) in enumerate(hues(names).items())}
    kind = Kind("SeqLen (steps)", "share of the parts (%)", no_scale)
    panels = []
    for layer, table in tables.items():
        ratio = whole_over_sum(run, layer, table)
        table = table[[name for name in names if name in table]]
        cells = table.index.to_frame(index=False)
        first = cells.sort_values(CELL).drop_duplicates(["seq_len", "hid_size"])
        first = first[first.seq_len.isin(some(cells.seq_len, MOST_LENGTHS))]
        for size in some(cells.hid_size, MOST_SIZES):
            of_size = table.loc[[tuple(row) for row in first[first.hid_size == size].to_numpy()]]
            panels.append(Panel(f"{layer}, HidSize {size}", kind,
                                partial(draw_shares, parts=of_size, ratio=ratio, looks=looks)))
    return Drawing("number above a column: time of the whole layer / sum of its parts", panels,
                   looks, columns=min(MOST_SIZES, max(2, len(panels) // len(tables))))


FIGURES = [Figure(place=9, name="parts",
                title="Where the time goes: shares of the parts, each timed alone",
                alt="Shares of the parts of each layer over SeqLen", draw=draw)]
