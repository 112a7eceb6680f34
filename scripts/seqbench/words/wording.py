"""How numbers and tables are put into words for a reader: every script speaks alike."""
from __future__ import annotations

import re

import numpy as np
import pandas as pd
import tabulate

from seqbench.read import dimensions, runs

tabulate.PRESERVE_WHITESPACE = True  # a blank may stand where another line has a mark
tabulate.MIN_PADDING = 0  # a column is as wide as its widest cell, header or not
WIDTH = 112  # of a terminal
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


def two(value: float) -> str:
    """A number with two digits: 0.35, 1.2, 13, 1400."""
    short = float(f"{value:.2g}")
    return f"{short:.{max(0, 1 - int(np.floor(np.log10(abs(short))))) if short else 0}f}"


def ratio_text(ratio: float) -> str:
    """A ratio with two digits that never rounds across 1: 0.35, 0.99, 1.0, 2.3, 13."""
    return two(min(ratio, 0.99)) if ratio < 1 else two(ratio)


def nearest(values, wanted: float) -> int:
    """The value that is nearest on a logarithmic scale."""
    return int(min(values, key=lambda value: (abs(np.log(value / wanted)), value)))


def times(value: float) -> str:
    """The same: 2.3x."""
    return f"{ratio_text(value)}x"


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


# What a verdict of crossover.csv or whatif.csv means at which SeqLen a layer takes less time.
WHERE = {"faster everywhere": "always", "slower everywhere": "never",
         "never slower": "never slower", "never faster": "never faster",
         "no difference": "no difference", "several crossings": "mixed", "unknown": "unknown"}


def faster_where(row) -> str:
    """The SeqLens at which a layer takes less time: always; S > 350; S < 40."""
    last = row.crossings.split()[-1:]
    if row.verdict == "crosses" and last:
        return f"S > {two(float(last[0]))}"
    if row.verdict == "crosses back" and last:
        return f"S < {two(float(last[0]))}"
    return WHERE[row.verdict]


def with_interval(row) -> str:
    """The same with the 95 % interval of the crossing: S > 350 (310 to 420)."""
    words = faster_where(row)
    if row.verdict not in ("crosses", "crosses back"):
        return words
    low = two(row.crossing_low) if np.isfinite(row.crossing_low) else f"< {row.min_seq_len}"
    high = two(row.crossing_high) if np.isfinite(row.crossing_high) else f"> {row.max_seq_len}"
    return f"{words} ({low} to {high})"


def faster_by_counts(row) -> str:
    """The same by the operation counts of crossover.csv, of which not every crossing is kept."""
    if np.isfinite(row.arithmetic_seq_len):
        return f"S > {two(row.arithmetic_seq_len)}"
    return WHERE.get(row.arithmetic_verdict, "at first")


# ---- tables ------------------------------------------------------------------------------------


def size_of(row) -> tuple:
    """What is held while SeqLen grows, of a row: the key of size_labels."""
    return tuple(getattr(row, name) for name in runs.ACROSS)


def size_labels(cells: pd.DataFrame) -> dict[tuple, str]:
    """The columns of a table: HidSizes, with the other sizes where one HidSize has several."""
    told = [name for name in runs.ACROSS
            if name == "hid_size" or cells.groupby("hid_size")[name].nunique().max() > 1]
    return {key: " ".join(f"{dimensions.LETTERS[name]} {size}"
                          for name, size in zip(runs.ACROSS, key) if name in told)
            for key in sorted(set(map(size_of, cells.itertuples())))}


def sizes_text(sizes: dict[str, int]) -> str:
    """Some sizes: S=16 H=64, and the others where they are not 1."""
    return " ".join(f"{dimensions.LETTERS[name]}={size}" for name, size in sizes.items()
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
