"""Which layer takes the least time at equal model size."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (BOX, LIGHT, NAMES, Drawing, Figure, Kind, Panel, Run,
                                      add_cell, layer_hues, no_scale, number_cells, row_label,
                                      row_names, say, size_text, with_rows)
from seqbench.read import runs
from seqbench.tables import ratios
from seqbench.words import wording

ARTICLE = ["rnn", "lstm"]


def shown_layers(run: Run, cells: pd.DataFrame) -> list[str]:
    """Those of the article, else the first two; then what they are set against."""
    timed = run.in_order(cells.layer)
    return [*([name for name in ARTICLE if name in timed] or timed[:2]), runs.REFERENCE]


def ranked(cells: pd.DataFrame) -> pd.DataFrame:
    """Per cell the first and the second, how far they are apart, and whether that is sure."""
    beside = cells.drop_duplicates(ratios.CELL).assign(layer=runs.REFERENCE, ratio=1.0,
                                                       ci_low=1.0, ci_high=1.0)
    order = pd.concat([cells, beside]).sort_values("ratio", ascending=False, kind="stable")
    place = order.groupby(ratios.CELL).cumcount()
    pairs = order[place == 0].merge(order[place == 1], on=ratios.CELL, suffixes=("", "_second"))
    return pairs.assign(lead=pairs.ratio / pairs.ratio_second,
                        is_sure=pairs.ci_low > pairs.ci_high_second)


def text(row) -> str:
    """A cell."""
    first, second = (NAMES.get(layer, layer) for layer in (row.layer, row.layer_second))
    found = (f"{first}: {second} takes {wording.ratio_text(row.lead)} times as long" if row.is_sure
             else f"{first} and {second}: no difference")
    return f"{found}\n{size_text(row)}"


def draw_cells(axes: Axes, pairs: pd.DataFrame, colours: dict[str, str]) -> None:
    """The colour of the first in every cell, and how far it is ahead of the second."""
    columns, rows = tuple(sorted(set(pairs.seq_len))), sorted(set(pairs.row))
    for cell in pairs.itertuples():
        i, j = columns.index(cell.seq_len), rows.index(cell.row)
        colour = colours[cell.layer] if cell.is_sure else LIGHT["grey"]
        say(add_cell(axes, i, j, {"facecolor": colour}), [text(cell)])
        if cell.is_sure:
            axes.text(i, j, wording.times(cell.lead), ha="center", va="center", fontsize=8.5,
                      color=LIGHT["ground"])
    number_cells(axes, columns, rows)


def draw(run: Run) -> Drawing:
    """One map over SeqLen and HidSize."""
    cells = run.cells(ratios.PARAMETER)
    shown = shown_layers(run, cells)
    colours = {name: LIGHT[hue] for name, hue in layer_hues(shown).items()}
    pairs = with_rows(ranked(cells[cells.layer.isin(shown)]))
    looks = {NAMES.get(name, name): BOX | {"color": colours[name]} for name in shown}
    looks[ratios.SAME] = BOX | {"color": LIGHT["grey"]}
    height = 0.75 + 0.25 * max(4, pairs.row.nunique())
    return Drawing(f"fastest variants of {run.engines_text}; number: how many times as long the "
                   "second takes",
                   [Panel("", Kind("SeqLen (steps)", row_label(row_names(pairs)), no_scale),
                          partial(draw_cells, pairs=pairs, colours=colours))],
                   looks, size=(8.2, height), alone=(6.4, height))


FIGURES = [Figure(
    place=1, name="fastest", title="Which takes the least time at equal model size",
    alt="Which layer takes the least time at equal parameter count, for every SeqLen and HidSize",
    draw=draw, is_of_engines=True, lens=ratios.PARAMETER)]
