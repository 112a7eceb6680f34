"""How numbers and tables are put into words for a reader: every script speaks alike."""
from __future__ import annotations

import re

import numpy as np
import pandas as pd
import tabulate

from seqbench.read import runs

tabulate.PRESERVE_WHITESPACE = True  # a blank may stand where another line has a mark
tabulate.MIN_PADDING = 0  # a column is as wide as its widest cell, header or not
WIDTH = 110  # of a terminal
LETTERS = {"seq_len": "S", "hid_size": "H", "heads": "A"}  # others go by the name of their column
ROW = tabulate.DataRow("|", "|", "|")
# Cells are not padded: a cell that changes is a line that changes.
MARKDOWN = tabulate.TableFormat(
    lineabove=None, linebelowheader=lambda widths, _: "|" + " --- |" * len(widths),
    linebetweenrows=None, linebelow=None, headerrow=ROW, datarow=ROW, padding=1,
    with_header_hide=None)


# ---- numbers -----------------------------------------------------------------------------------


def plain(value: float) -> str:
    """A number with three digits or so."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{decimals}f}"


def times(value: float) -> str:
    """A ratio: 2.31x."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}x"


def spread(values: pd.Series) -> str:
    """The range of some ratios: 0.50x to 2.00x."""
    low, high = times(values.min()), times(values.max())
    return low if low == high else f"{low} to {high}"


def short_spread(values: pd.Series) -> str:
    """The same for a table: 0.50-2.00x."""
    low, high = times(values.min()), times(values.max())
    return low if low == high else f"{low[:-1]}-{high}"


def listing(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def faster_where(row) -> str:
    """The SeqLens at which a layer is faster, by a row of crossover.csv or whatif.csv.

    From all crossings: S < 61, > 158.
    """
    found = [f"{float(value):.0f}" for value in row.crossings.split()]
    at_end = row.ratio_at_max_seq_len > 1
    if not found:
        return "everywhere" if at_end else "nowhere"
    pieces = []
    for i, (low, high) in enumerate(zip([None, *found], [*found, None])):
        if ((len(found) - i) % 2 == 0) == at_end:
            pieces.append(f"< {high}" if low is None else f"> {low}" if high is None
                          else f"{low} to {high}")
    return f"S {', '.join(pieces)}"


def faster_by_counts(row) -> str:
    """The same by the operation counts of crossover.csv, of which not every crossing is kept."""
    if np.isfinite(row.arithmetic_seq_len):
        return f"S > {row.arithmetic_seq_len:.0f}"
    words = {"faster everywhere": "everywhere", "slower everywhere": "nowhere",
             "unknown": "unknown"}
    return words.get(row.arithmetic_verdict, "at first")


# ---- tables ------------------------------------------------------------------------------------


def size_of(row) -> tuple:
    """What is held while SeqLen grows, of a row: the key of size_labels."""
    return tuple(getattr(row, name) for name in runs.ACROSS)


def size_labels(cells: pd.DataFrame) -> dict[tuple, str]:
    """The columns of a table: HidSizes, with the other sizes where one HidSize has several."""
    told = [name for name in runs.ACROSS
            if name == "hid_size" or cells.groupby("hid_size")[name].nunique().max() > 1]
    return {key: " ".join(f"{LETTERS.get(name, name)} {size}"
                          for name, size in zip(runs.ACROSS, key) if name in told)
            for key in sorted(set(map(size_of, cells.itertuples())))}


def sizes_text(sizes: dict[str, int]) -> str:
    """Some sizes: S=16 H=64, and the others where they are not 1."""
    return " ".join(f"{LETTERS.get(name, name)}={size}" for name, size in sizes.items()
                    if name in ("seq_len", "hid_size") or size > 1)


def text_table(header: list[str], rows: list[list[str]], numbers_from: int | None = None) -> str:
    """Columns of equal width for a terminal; those from a place on are aligned at the right."""
    first = len(header) if numbers_from is None else numbers_from
    sides = ["left"] * first + ["right"] * (len(header) - first)
    return tabulate.tabulate(rows, header, "plain", disable_numparse=True,
                             colalign=sides if rows else None)


def wrapped_table(header: list[str], rows: list[list[str]], kept: int = 2,
                  numbers_from: int | None = None) -> str:
    """The same in as many pieces as the width asks for; the first columns in each."""
    widths = [max([len(header[i]) + tabulate.MIN_PADDING, *(len(row[i]) for row in rows)]) + 2
              for i in range(len(header))]
    pieces, places, used = [], [], sum(widths[:kept])
    for i in range(kept, len(header)):
        if places and used + widths[i] > WIDTH:
            pieces.append(places)
            places, used = [], sum(widths[:kept])
        places.append(i)
        used += widths[i]
    return "\n\n".join(text_table([header[i] for i in (*range(kept), *piece)],
                                  [[row[i] for i in (*range(kept), *piece)] for row in rows],
                                  numbers_from)
                       for piece in [*pieces, places])


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """The same as markdown."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in line]
             for line in [header, *rows]]
    return without_tags(tabulate.tabulate(cells[1:], cells[0], MARKDOWN, disable_numparse=True,
                                          stralign=None))


def without_tags(markdown: str) -> str:
    """Markdown in which nothing is HTML, whatever the names that files gave it."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", markdown)


def duration(ns: float) -> str:
    """A time with three digits: 512 µs."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"
