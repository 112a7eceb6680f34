"""What calls one by one take, in words and tables: from stream.csv."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import streams
from seqbench.words import wording

# Deadlines that people stream under, in ns, and who has them.
DEADLINES = {20_833: "20.8 µs: one sample at 48 kHz", 1_000_000: "1 ms",
             10_000_000: "10 ms: a frame of noise suppression",
             32_000_000: "32 ms: a chunk of voice detection"}
QUANTILE = "p999_ns"  # that must meet a deadline


def steps(table: pd.DataFrame) -> pd.DataFrame:
    """Calls that make one token."""
    return table[(table.seq_len == 1) | (table.layer == "decode")]


def period_text(ns: float) -> str:
    """20.8 µs, 10 ms."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def condition_text(condition: str, period_ns: float) -> str:
    """`hot`, or `paced 10 ms`."""
    return f"{condition} {period_text(period_ns)}" if condition == streams.PACED else condition


def conditions(table: pd.DataFrame) -> list[tuple[str, float]]:
    """The conditions of a table: hot, paced from the shortest period on, cold."""
    found = table[["condition", "period_ns"]].drop_duplicates()
    place = {"hot": 0, streams.PACED: 1, "cold": 2}
    return sorted(found.itertuples(index=False, name=None),
                  key=lambda pair: (place.get(pair[0], 3), np.nan_to_num(pair[1])))


def under(table: pd.DataFrame, condition: str, period_ns: float) -> pd.DataFrame:
    """The rows of one condition."""
    same = table.period_ns.isna() if np.isnan(period_ns) else table.period_ns == period_ns
    return table[(table.condition == condition) & same]


def best(table: pd.DataFrame, by: str = "p50_ns") -> pd.DataFrame:
    """The fastest kernel of each layer in each cell and condition, peers left out."""
    ours = table[~table.engine.isin(runs.PEERS)]
    cells = ours.groupby(["layer", *runs.DIMENSIONS, "condition", "period_ns"], dropna=False)
    return ours.loc[cells[by].idxmin()]


def largest(rows: pd.DataFrame, deadline_ns: float) -> str:
    """The largest HidSize up to which every one meets the deadline; of one that fails, none."""
    known = rows[rows[QUANTILE].notna()].sort_values("hid_size")
    misses = known.hid_size[known[QUANTILE] > deadline_ns]
    meets = known[known.hid_size < (misses.min() if len(misses) else np.inf)]
    if known.empty:
        return "-"
    if meets.empty:
        return f"none (smallest {known.hid_size.min()})"
    size = meets.hid_size.max()
    return f"{size}" if len(misses) else f"{size} (largest timed)"


def deadline_rows(table: pd.DataFrame) -> tuple[list[str], list]:
    """Per layer and condition the largest HidSize that meets each deadline."""
    rows = best(steps(table), QUANTILE) if table[QUANTILE].notna().any() else table[:0]
    lines = []
    for layer, of_layer in rows.groupby("layer", sort=True):
        for condition, period in conditions(of_layer):
            cells = under(of_layer, condition, period)
            if cells[QUANTILE].notna().any():
                lines.append([layer, condition_text(condition, period),
                              *(largest(cells, deadline) for deadline in DEADLINES)])
    return ["layer", "between calls", *map(period_text, DEADLINES)], lines


def time_rows(table: pd.DataFrame) -> tuple[list[str], list]:
    """Per layer and HidSize: p50 and p99.9 of one step, a pair of columns for each condition."""
    rows = best(steps(table))
    shown = conditions(rows)
    lines = []
    for (layer, hid_size), cells in rows.groupby(["layer", "hid_size"]):
        line = [layer, str(hid_size)]
        for condition, period in shown:
            cell = under(cells, condition, period)
            for name in ("p50_ns", QUANTILE):
                value = cell[name].iloc[0] if len(cell) else np.nan
                line.append("-" if np.isnan(value) else wording.plain(value / 1000))
        lines.append(line)
    header = ["layer", "HidSize"]
    for pair in shown:
        header += [f"{condition_text(*pair)}: p50", "p99.9"]
    return header, lines


def chunk_sentences(table: pd.DataFrame) -> list[str]:
    """Per layer: from which tokens per call a call takes less per token than single steps do."""
    rows = best(under(table[table.layer != "decode"], "hot", np.nan))
    found = []
    for layer, of_layer in rows.groupby("layer"):
        for hid_size, cells in of_layer.groupby("hid_size"):
            per_token = (cells.p50_ns / cells.seq_len).set_axis(cells.seq_len).sort_index()
            if len(per_token) < 2 or per_token.index[0] != 1:
                continue
            pays = per_token.index[per_token < 0.95 * per_token.iloc[0]]
            most = per_token.idxmin()
            found.append(
                f"{layer}, HidSize {hid_size}: " + (
                    f"from {pays.min()} tokens per call on a token takes less time; with {most} it "
                    f"takes {per_token.min() / per_token.iloc[0]:.2f} of a single step."
                    if len(pays) else "a token takes as long in larger calls as in a single step."))
    return found


def peer_rows(table: pd.DataFrame) -> tuple[list[str], list]:
    """Per layer our time of a hot step over HidSize, and the time of each library over it."""
    rows = under(steps(table), "hot", np.nan)
    sizes = sorted(set(rows.hid_size))
    fastest = rows.groupby(["layer", "engine", "hid_size"]).p50_ns.min()
    lines = []
    for layer in sorted(set(rows.layer)):
        ours = best(rows[rows.layer == layer]).set_index("hid_size").p50_ns
        lines.append([layer, "ours, µs", *(wording.plain(ours[size] / 1000) if size in ours.index
                                           else "-" for size in sizes)])
        for engine in [name for name in runs.PEERS if (layer, name) in fastest.index]:
            theirs = fastest[layer, engine]
            lines.append([layer, f"{engine} / ours", *(
                wording.ratio_text(theirs[size] / ours[size])
                if size in theirs.index and size in ours.index else "-" for size in sizes)])
    return ["layer", "HidSize", *map(str, sizes)], lines


def peers_section(folder: Path) -> str:
    """The page's table of other libraries."""
    table = runs.load_derived(folder, "stream.csv")
    return "\n\n".join([
        "Median time of one step, hot, one token per call; above 1 ours takes less time:",
        wording.markdown_table(*peer_rows(table))])


def section(folder: Path) -> str:
    """The page's table of deadlines."""
    table = runs.load_derived(folder, "stream.csv")
    clock = table.clock_ns.median()
    return "\n\n".join([
        f"The largest HidSize whose calls meet a deadline in 99.9 % of all cases (p99.9), one token "
        f"per call. Reading the clock takes {clock:.0f} ns of each call and is not taken off.",
        wording.markdown_table(*deadline_rows(table))])


def times_section(folder: Path) -> str:
    """The page's table of times."""
    table = runs.load_derived(folder, "stream.csv")
    return "\n\n".join(["Time of one step in µs, fastest kernel of ours:",
                        wording.markdown_table(*time_rows(table))])


def chunks_section(folder: Path) -> str:
    """The page's sentences on tokens per call."""
    return "\n".join(f"- {line}" for line in chunk_sentences(
        runs.load_derived(folder, "stream.csv")))


def text(table: pd.DataFrame) -> str:
    """For a terminal."""
    header, lines = time_rows(table)
    parts = ["Time of one step in µs (p50, and p99.9 where 1000 calls or more were timed):",
             wording.wrapped_table(header, lines, kept=2, numbers_from=1), ""]
    if len(told := deadline_rows(table)[1]):
        parts += ["The largest HidSize that meets a deadline at p99.9:",
                  wording.text_table(deadline_rows(table)[0], told), ""]
    parts += chunk_sentences(table)
    return "\n".join(parts).rstrip()
