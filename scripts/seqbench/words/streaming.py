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
TOLD = ["lstm", "gru"]  # layers of the sentences
PAYS = 0.95  # of the time of a single step: from here on larger calls are said to pay


def steps(table: pd.DataFrame) -> pd.DataFrame:
    """Calls that make one token."""
    return table[(table.seq_len == 1) | table.layer.isin(runs.ONE_TOKEN)]


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
    """The fastest kernel of ours of float32 of each layer in each cell and condition."""
    is_ours = ~runs.is_peer(table.engine) & ~runs.is_narrow(table.engine)
    ours = table[is_ours & table[by].notna()]
    cells = ours.groupby(["layer", *runs.DIMENSIONS, "condition", "period_ns"], dropna=False)
    return ours.loc[cells[by].idxmin()]


def in_time(table: pd.DataFrame) -> pd.DataFrame:
    """Without paced rows whose median call is longer than the period: nobody could pace these."""
    return table[~(table.p50_ns > table.period_ns)]


def largest(rows: pd.DataFrame, deadline_ns: float) -> str:
    """The largest HidSize up to which every one meets the deadline; of one that fails, none."""
    known = rows[rows[QUANTILE].notna()].sort_values("hid_size")
    misses = known.hid_size[known[QUANTILE] > deadline_ns]
    meets = known[known.hid_size < (misses.min() if len(misses) else np.inf)]
    if known.empty:
        return "-"
    if meets.empty:
        return f"none ({known.hid_size.min()} is the smallest timed)"
    size = meets.hid_size.max()
    return f"{size}" if len(misses) else f"{size} (largest timed)"


def deadline_rows(table: pd.DataFrame) -> tuple[list[str], list]:
    """Per layer and condition the largest HidSize that meets each deadline."""
    rows = best(steps(table), QUANTILE)
    lines = []
    for layer, of_layer in rows.groupby("layer", sort=True):
        for condition, period in conditions(of_layer):
            cells = under(of_layer, condition, period)
            if len(cells):
                lines.append([layer, condition_text(condition, period),
                              *("-" if deadline > 1.01 * period else largest(cells, deadline)
                                for deadline in DEADLINES)])
    return ["layer", "between calls", *map(period_text, DEADLINES)], lines


def time_rows(rows: pd.DataFrame, shown: list[tuple[str, float]]) -> tuple[list[str], list]:
    """Per layer and HidSize: p50 and p99.9 of one step, a pair of columns for each condition."""
    header, columns = ["layer", "HidSize"], []
    for pair in shown:
        for name, word in (("p50_ns", "p50"), (QUANTILE, "p99.9")):
            if under(rows, *pair)[name].notna().any():
                header.append(f"{condition_text(*pair)}: {word}")
                columns.append((pair, name))
    lines = []
    for (layer, hid_size), cells in rows.groupby(["layer", "hid_size"]):
        values = [under(cells, *pair)[name] for pair, name in columns]
        lines.append([layer, str(hid_size), *(
            wording.plain(value.iloc[0] / 1000) if value.notna().any() else "-"
            for value in values)])
    return header, lines


def time_tables(table: pd.DataFrame) -> list[tuple[list[str], list]]:
    """A table for all conditions that were timed at the same sizes."""
    rows = in_time(best(steps(table)))
    sizes = {pair: tuple(sorted(set(under(rows, *pair).hid_size))) for pair in conditions(rows)}
    found = []
    for of_table in dict.fromkeys(sizes.values()):
        shown = [pair for pair, timed in sizes.items() if timed == of_table]
        of_pairs = pd.concat([under(rows, *pair) for pair in shown])
        found.append(time_rows(of_pairs, shown))
    return found


def pause_sentences(table: pd.DataFrame) -> list[str]:
    """How much longer a step takes after a pause in which the caches were filled by others."""
    rows = best(steps(table))
    found = []
    for layer, of_layer in rows[rows.layer.isin(TOLD)].groupby("layer"):
        paced = of_layer[of_layer.condition == streams.PACED]
        paced = paced[paced.period_ns == paced.period_ns.max()]
        hot = under(of_layer, "hot", np.nan).set_index("hid_size").p50_ns
        both = paced[paced.hid_size.isin(hot.index)].sort_values("hid_size")
        if both.empty:
            continue
        row = both.iloc[0]
        found.append(
            f"A step of {layer} with HidSize {row.hid_size} takes "
            f"{wording.two(hot[row.hid_size] / 1000)} µs call after call, and "
            f"{wording.two(row.p50_ns / 1000)} µs when it is called every "
            f"{period_text(row.period_ns)} (medians).")
    return found


def chunk_sentences(table: pd.DataFrame) -> list[str]:
    """Per layer: from which tokens per call on a token takes less time than a single step."""
    rows = best(under(table[~table.layer.isin(runs.ONE_TOKEN)], "hot", np.nan))
    found = []
    for layer, of_layer in rows.groupby("layer"):
        shares = of_layer.assign(ns=of_layer.p50_ns / of_layer.seq_len).pivot(
            index="hid_size", columns="seq_len", values="ns").dropna()
        if shares.empty or 1 not in shares or shares.shape[1] < 2:
            continue
        shares = shares.div(shares[1], axis=0).drop(columns=1)
        pays = (shares < PAYS).all()[::-1].cummin()[::-1]  # from here on at every size
        sizes = f"HidSize {shares.index.min()} to {shares.index.max()}"
        if not pays.any():
            found.append(f"{layer}: larger calls do not save time at every size ({sizes}).")
            continue
        most = shares.columns[-1]
        found.append(f"{layer}: calls of {pays.idxmax()} tokens or more take less time per token "
                     f"than single steps; with {most} a token takes "
                     f"{wording.two(shares[most].min())} to {wording.two(shares[most].max())} of "
                     f"a single step ({sizes}).")
    return found


def peer_rows(table: pd.DataFrame) -> tuple[list[str], list]:
    """Per layer our time of a hot step over HidSize, and the time of each library over it."""
    rows = under(steps(table), "hot", np.nan)
    sizes = sorted(set(rows.hid_size))
    fastest = rows.groupby(["layer", "engine", "hid_size"]).p50_ns.min()
    lines = []
    for layer in sorted(set(rows.layer)):
        ours = best(rows[rows.layer == layer]).set_index("hid_size").p50_ns
        lines.append([layer, "ours, µs", *(wording.two(ours[size] / 1000) if size in ours.index
                                           else "-" for size in sizes)])
        for engine in [name for name in sorted(set(rows.engine[runs.is_peer(rows.engine)]))
                       if (layer, name) in fastest.index]:
            theirs = fastest[layer, engine]
            lines.append([layer, f"{engine} / ours", *(
                wording.ratio_text(theirs[size] / ours[size])
                if size in theirs.index and size in ours.index else "-" for size in sizes)])
    return ["layer", "HidSize", *map(str, sizes)], lines


def peers_section(folder: Path) -> str:
    """The page's table of other libraries."""
    table = runs.load_derived(folder, "stream.csv")
    clock = {is_torch: f"{rows.median():.0f} ns"
             for is_torch, rows in table.clock_ns.groupby(table.engine == "torch")}
    of_torch = f", of PyTorch's {clock[True]}" if True in clock else ""
    return "\n\n".join([
        "Median time of one step, hot, one token per call; above 1 ours takes less time. Reading the "
        f"clock takes {clock[False]} of each time{of_torch}, and it advances in steps: at the smallest "
        "sizes the ratios are rough.",
        wording.markdown_table(*peer_rows(table))])


def section(folder: Path) -> str:
    """The page's table of deadlines."""
    table = runs.load_derived(folder, "stream.csv")
    clock = table.clock_ns.median()
    return "\n\n".join([
        "\n".join(f"- {line}" for line in pause_sentences(table)),
        f"The largest HidSize whose calls meet a deadline in 99.9 % of all cases (p99.9), one token "
        f"per call. Reading the clock takes {clock:.0f} ns of each call and is not taken off. A paced "
        "call has to end before the next tick, so longer deadlines are left out there; so are "
        "periods of which fewer than 1000 calls were timed.",
        wording.markdown_table(*deadline_rows(table))])


def wide_rows(rows: pd.DataFrame) -> tuple[list[str], list]:
    """Of one condition: per layer a line for p50 and one for p99.9, a column for each HidSize."""
    lines = []
    for name, word in (("p50_ns", "p50"), (QUANTILE, "p99.9")):
        table = rows.pivot(index="layer", columns="hid_size", values=name)
        lines += [[layer, word, *("-" if np.isnan(ns) else wording.two(ns / 1000) for ns in line)]
                  for layer, line in zip(table.index, table.to_numpy()) if np.isfinite(line).any()]
    return ["layer", "HidSize", *map(str, table.columns)], sorted(lines)


def times_section(folder: Path) -> str:
    """The page's tables of times, one for each condition."""
    rows = in_time(best(steps(runs.load_derived(folder, "stream.csv"))))
    parts = ["Time of one step in µs, fastest kernel of ours."]
    for pair in conditions(rows):
        parts += [f"{condition_text(*pair)}:".capitalize(),
                  wording.markdown_table(*wide_rows(under(rows, *pair)))]
    return "\n\n".join(parts)


def chunks_section(folder: Path) -> str:
    """The page's sentences on tokens per call."""
    return "\n".join(f"- {line}" for line in chunk_sentences(
        runs.load_derived(folder, "stream.csv")))


def text(table: pd.DataFrame) -> str:
    """For a terminal."""
    parts = ["Time of one step in µs (p50, and p99.9 where 1000 calls or more were timed):"]
    for header, lines in time_tables(table):
        parts += [wording.wrapped_table(header, lines, kept=2, numbers_from=1), ""]
    header, lines = deadline_rows(table)
    if lines:
        parts += ["The largest HidSize that meets a deadline at p99.9:",
                  wording.text_table(header, lines), ""]
    return "\n".join([*parts, *pause_sentences(table), *chunk_sentences(table)]).rstrip()
