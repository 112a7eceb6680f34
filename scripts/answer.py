#!/usr/bin/python3
"""Print which layer is faster at which size, from the summary of a run folder."""
from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

import runs

WIDTH = 110
CELL_WIDTH = 9
SHORT = ("S 16..128", 16, 128)
LONG = ("S >= 1024", 1024, np.inf)
FAR_BELOW = 8  # S is "far below H" when S <= H / 8


# ---- wording -----------------------------------------------------------------------------------


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


def listing(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def cheaper(verdict: str, from_seq_len: float, found: str = "") -> str:
    """A verdict of crossover.csv as a few words."""
    rounded = [f"{float(value):.0f}" for value in found.split()]
    if verdict == "crosses":
        return f"from S = {from_seq_len:.0f}"
    if verdict == "crosses back":
        return f"below S = {rounded[0]}" if rounded else "at first"
    if verdict == "several crossings":
        return f"several crossings: {' '.join(rounded)}".rstrip(": ")
    return {"cheaper everywhere": "everywhere", "dearer everywhere": "nowhere"}[verdict]


# ---- tables ------------------------------------------------------------------------------------


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Columns of equal width for a terminal."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in [header, *rows])


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """The same as markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def time_table(summary: pd.DataFrame, hid_size: int) -> str:
    """Median time per token of every layer kernel at one HidSize; * marks the fastest."""
    rows = summary[(summary.kind == "layer") & (summary.hid_size == hid_size)]
    table = rows.pivot(index=["kernel", "heads"], columns="seq_len", values="us_per_token")
    names = [f"{kernel} A={heads}" if heads > 1 else kernel for kernel, heads in table.index]
    first = max(map(len, names))
    per_line = (WIDTH - first) // CELL_WIDTH
    lines = [f"HidSize {hid_size}: median us per token (* = fastest at that SeqLen)"]
    for start in range(0, table.shape[1], per_line):
        block = table.iloc[:, start:start + per_line]
        lines.append(" " * first + "".join(f"S={s}".rjust(CELL_WIDTH - 1) + " " for s in block))
        for name, (_, values) in zip(names, block.iterrows()):
            cells = [("-" if np.isnan(value) else plain(value)).rjust(CELL_WIDTH - 1)
                     + ("*" if value == least else " ")
                     for value, least in zip(values, block.min())]
            lines.append(name.ljust(first) + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def crossover_table(crossover: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Where each layer is cheaper than the reference, measured and by operation counts."""
    header = ["HidSize", "heads", "layer", "cheaper (measured)", "cheaper (operation counts)",
              "ratio at smallest S", "at largest S"]
    rows = [[str(row.hid_size), str(row.heads), row.layer,
             cheaper(row.verdict, row.cheaper_from_seq_len, row.crossings),
             cheaper(row.arithmetic_verdict, row.arithmetic_seq_len),
             f"{times(row.ratio_at_min_seq_len)} at {row.min_seq_len}",
             f"{times(row.ratio_at_max_seq_len)} at {row.max_seq_len}"]
            for row in crossover.sort_values(["hid_size", "heads", "layer"]).itertuples()]
    return header, rows


def within(cells: pd.DataFrame, band: tuple[str, float, float]) -> pd.DataFrame:
    """The cells in a band of SeqLen."""
    return cells[cells.seq_len.between(band[1], band[2])]


def ratio_table(cells: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Range of the ratio at short and long SeqLen beside the textbook's, per HidSize and layer."""
    header = ["HidSize", "heads", "layer"]
    for name, _, _ in (SHORT, LONG):
        header += [name, "textbook"]
    rows = []
    for (hid_size, heads, layer), group in cells.groupby(["hid_size", "heads", "layer"]):
        row = [str(hid_size), str(heads), layer]
        for band in (SHORT, LONG):
            part = within(group, band)
            row += [spread(part.ratio), spread(part.textbook)] if len(part) else ["-", "-"]
        rows.append(row)
    return header, rows


# ---- sentences ---------------------------------------------------------------------------------


def machine_sentence(host: dict) -> str:
    """Where the numbers come from."""
    remark = {True: "a virtual machine: one session is not a CPU's number",
              False: "not a virtual machine"}
    virtual = remark.get(runs.host_value(host, "machine", "virtual"),
                         "whether it is a virtual machine is not known")
    return f"Measured on {runs.machine_name(host)}, one core, batch 1, float32 ({virtual})."


def cache_sentence(host: dict) -> str:
    """Sizes of the data caches that the measured core can use."""
    caches = runs.host_value(host, "cpu", "caches")
    if not isinstance(caches, list) or not caches:
        return ""
    words = [f"L{cache['level']} {runs.bytes_text(cache['bytes'])}" for cache in caches]
    return f"Its caches: {', '.join(words)}."


def roof_sentence(summary: pd.DataFrame) -> str:
    """Why equal operations are not equal times: the roofs of matrix products."""
    gemm = summary[summary.kernel == "roof/sgemm"].gflops.max()
    gemv = summary[summary.kernel == "roof/sgemv"].dropna(subset="gflops")
    if gemv.empty or not np.isfinite(gemm):
        return ""
    best, worst = (gemv.loc[place] for place in (gemv.gflops.idxmax(), gemv.gflops.idxmin()))
    return (f"A multiply-add is not a multiply-add: sgemm reaches {plain(gemm)} GFLOP/s, sgemv "
            f"{plain(best.gflops)} with a matrix of {runs.bytes_text(best.bytes)} and "
            f"{plain(worst.gflops)} with one of {runs.bytes_text(worst.bytes)}.")


def band_sentence(cells: pd.DataFrame, band: tuple[str, float, float]) -> str:
    """What was measured in a band of SeqLen."""
    cells = within(cells, band)
    if cells.empty:
        return f"At {band[0]} nothing was measured."
    words = [f"{spread(group.ratio)} as long as {layer} (middle {times(group.ratio.median())}; "
             f"{layer} is faster in {(group.ratio > 1).sum()} of {len(group)} cells)"
             for layer, group in cells.groupby("layer")]
    return f"At {band[0]} the Transformer block takes {listing(words)}."


def far_below_sentence(cells: pd.DataFrame) -> str:
    """The textbook's first half: equal when S is far below H."""
    cells = within(cells, SHORT)
    cells = cells[cells.seq_len * FAR_BELOW <= cells.hid_size]
    if cells.empty:
        return ""
    words = [f"{spread(group.ratio)} for {layer}" for layer, group in cells.groupby("layer")]
    return (f"Where S is far below H (S <= H/{FAR_BELOW}, {SHORT[0]}) the textbook expects equal "
            f"times ({spread(cells.textbook)}); measured: {listing(words)}.")


def far_above_sentence(cells: pd.DataFrame) -> str:
    """The textbook's second half: far ahead when S is in the thousands."""
    cells = within(cells, LONG)
    if cells.empty:
        return ""
    words = []
    for layer, group in cells.groupby("layer"):
        share = (group.ratio / group.textbook).median()
        amount = "larger" if share > 1 else "smaller"
        words.append(f"{plain(max(share, 1 / share))} times {amount} for {layer}")
    return (f"At {LONG[0]} the textbook expects a lead of {spread(cells.textbook)}; "
            f"measured, in the middle cell, it is {listing(words)}.")


def winner(cells: pd.DataFrame) -> str:
    """The layer with the least time over some cells (geometric mean)."""
    lead = np.log(cells.ratio).groupby(cells.layer).mean()
    return lead.idxmax() if lead.max() > 0 else runs.REFERENCE


def winner_sentence(cells: pd.DataFrame, band: tuple[str, float, float]) -> str:
    """The fastest layer at each HidSize in a band of SeqLen."""
    cells = within(cells, band)
    if cells.empty:
        return ""
    sizes: dict[str, list[str]] = {}
    for (hid_size, heads), group in cells.groupby(["hid_size", "heads"]):
        several = cells[cells.hid_size == hid_size].heads.nunique() > 1
        label = f"{hid_size} (A={heads})" if several else str(hid_size)
        sizes.setdefault(winner(group), []).append(label)
    words = [f"{layer} at H = {', '.join(found)}" for layer, found in sizes.items()]
    return f"Fastest of all at {band[0]}: {listing(words)}."


def sentences(summary: pd.DataFrame, cells: pd.DataFrame, host: dict) -> list[str]:
    """The answer in words."""
    found = [f"{machine_sentence(host)} {cache_sentence(host)}".strip(), roof_sentence(summary)]
    if cells.empty:
        found += [f"No layer was timed beside the layer {runs.REFERENCE}: nothing to compare."]
    else:
        found += [band_sentence(cells, SHORT), far_below_sentence(cells), band_sentence(cells, LONG),
                  far_above_sentence(cells),
                  f"{winner_sentence(cells, SHORT)} {winner_sentence(cells, LONG)}".strip()]
    return [sentence for sentence in found if sentence]


# ---- output ------------------------------------------------------------------------------------


def answer(run_dir: Path, markdown: bool) -> str:
    """The answer of one run: words and tables; in a terminal also every time per token."""
    summary = runs.load_summary(run_dir)
    crossover = runs.load_derived(run_dir, "crossover.csv")
    cells = runs.relative(summary)
    cells["textbook"] = 1 + cells.seq_len / cells.hid_size  # (S*H^2 + H*S^2) / (S*H^2)
    words = sentences(summary, cells, runs.load_host(run_dir))
    table = markdown_table if markdown else text_table
    tables = []
    if len(cells):
        tables = ["SeqLen at which a layer becomes cheaper than the Transformer block "
                  "(fastest variants, within the grid):", table(*crossover_table(crossover)),
                  "Transformer time / layer time (above 1: the layer is faster), "
                  "measured and by the textbook (1 + S/H):", table(*ratio_table(cells))]
    if markdown:
        return "\n\n".join(words + tables)
    sizes = sorted(summary[summary.kind == "layer"].hid_size.unique())
    times_per_token = [time_table(summary, hid_size) for hid_size in sizes]
    return "\n\n".join(times_per_token + tables + [textwrap.fill(line, WIDTH) for line in words])


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="answer.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--markdown", action="store_true",
                        help="words and comparisons only, as markdown")
    options = parser.parse_args(arguments)
    return runs.exit_status("answer.py", lambda: print(answer(options.run_dir, options.markdown)))


if __name__ == "__main__":
    sys.exit(main())
