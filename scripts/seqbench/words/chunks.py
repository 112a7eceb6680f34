"""Chunked forms over recurrent ones, in words: from chunks.csv."""
from __future__ import annotations

import pandas as pd

from seqbench.words import wording


def sentence(table: pd.DataFrame) -> str:
    """Where the chunked form pays: the interval of the ratio lies below 1."""
    pays = table[table.ratio_high < 1]
    if pays.empty:
        return (f"With chunks of {table.chunk.min()} to {table.chunk.max()} tokens the chunked form "
                f"takes less time in none of {len(table)} cells.")
    told = []
    for layer, rows in pays.groupby("layer"):
        best = rows.loc[rows.ratio.idxmin()]
        heads = wording.listing([str(size) for size in sorted(set(rows.hid_size // rows.heads))])
        told.append(f"{layer} with heads of {heads} channels, best {wording.times(best.ratio)} "
                    f"({best.hid_size // best.heads} channels, chunks of {best.chunk} tokens)")
    never = sorted(set(table.layer) - set(pays.layer))
    return (f"The chunked form takes less time (the whole interval lies below 1) in "
            f"{len(pays)} of {len(table)} cells: for "
            f"{wording.listing(told)}" + (f"; never for {wording.listing(never)}." if never else "."))


def table_text(table: pd.DataFrame) -> str:
    """A line for each layer and length of a head, a column for each chunk."""
    sizes = sorted(set(table.chunk))
    lines = []
    for (layer, hid_size, heads), rows in table.groupby(["layer", "hid_size", "heads"], sort=False):
        by_chunk = rows.set_index("chunk").ratio
        lines.append([layer, str(hid_size // heads) if heads > 1 or (table[table.layer == layer].heads > 1).any()
                      else "-", *(wording.times(by_chunk[size]) if size in by_chunk else "-" for size in sizes)])
    return wording.markdown_table(["layer", "channels of a head", *(f"chunks of {size}" for size in sizes)], lines)


def text(table: pd.DataFrame) -> str:
    """Sentence and table."""
    return f"{sentence(table)}\n\n{table_text(table)}"
