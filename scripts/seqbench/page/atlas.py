"""The page of the atlas: a row per machine, sorted by a click, and the figure."""
from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup

from seqbench.figures import atlas as drawing
from seqbench.figures.drawing import PALETTE, STYLE
from seqbench.page import embed
from seqbench.page.report import Pictures
from seqbench.page.tables import Cell, Table
from seqbench.read import atlas
from seqbench.tables import atlas as tables
from seqbench.words import atlas as words
from seqbench.words import machines

INDEX = "index.html"


def sorted_by(text: str, value: float) -> Cell:
    """A cell with the number by which it is sorted, if there is one."""
    return Cell(text, float(value) if np.isfinite(value) else None)


def place_cells(row) -> list[Cell]:
    """S* measured and predicted, and their ratio; what has no S* within the grid is beyond it."""
    beyond = float(row.longest + 1)
    return [sorted_by(words.measured_text(row), row.place if np.isfinite(row.place) else beyond),
            sorted_by(words.predicted_text(row), row.predicted if np.isfinite(row.predicted) else beyond),
            sorted_by(words.error_text(row), row.error)]


def fact_cells(entry: atlas.Entry) -> list[Cell]:
    """What a machine is."""
    lanes = entry.facts.get("lanes")
    return [Cell(words.label(entry)), Cell(words.library(entry)),
            sorted_by(lanes or "unknown", float(lanes or "nan")), Cell(words.cache_text(entry)),
            Cell(words.virtual_text(entry))]


def machine_table(entries: list[atlas.Entry], table: pd.DataFrame) -> Table:
    """A row for each machine."""
    roofs = [dict(machines.roof_cells(tables.roofs(entry))) for entry in entries]
    titles = list(max(roofs, key=len))
    roofs = [dict.fromkeys(titles, np.nan) | found for found in roofs]
    head = ["machine", "libraries", "lanes", "caches", "virtual"]
    for name in words.columns():
        head += [f"S*, {name}", "predicted", "predicted / measured"]
    rows = [[*fact_cells(entry), *(cell for row in words.cells_of(table, entry) for cell in place_cells(row)),
             *(sorted_by(machines.number(found[title]), found[title]) for title in titles)]
            for entry, found in zip(entries, roofs)]
    return Table("A row for each machine", "A column's title sorts by it. S*: SeqLen from which on the layer "
                 "takes less time than a Transformer block of equal size, with its 95 % interval.",
                 [*head, *titles], rows)


def page(entries: list[atlas.Entry], table: pd.DataFrame) -> str:
    """The whole page."""
    pictures = Pictures()
    with matplotlib.rc_context(STYLE):
        figure = pictures.of(drawing.TITLE, drawing.TITLE, lambda: drawing.draw(table))
    return embed.template("atlas.html").render(
        title=words.TITLE, lead=words.LEAD, caution=words.caution(entries), how=words.HOW,
        law=words.law_sentences(table), prediction=words.prediction_sentence(table), rules=words.RULES,
        figure_title=drawing.TITLE, picture=figure, table=machine_table(entries, table), palette=PALETTE,
        pictures=pictures.style(), style=embed.piece("style.css"), script=embed.piece("sort.js"))
