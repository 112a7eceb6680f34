"""What parallel hardware within one core does, in words: from width.csv and a run of batches."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import batches, counted, prediction, widths
from seqbench.tables.claims import WITHIN
from seqbench.words import wording
from seqbench.words.phrases import EN

AT = {"seq_len": 1024, "hid_size": 512}  # that sentences tell of, or the nearest that were timed
ROWS = [(1024, 512), (4096, 512), (1024, 1024), (16, 1024)]  # of the table on the page
LAYER = "lstm"  # that the sentences tell of
LONG, WIDE = 1000, 256  # SeqLen and HidSize from which products are nearly all of the work
NARROW = 4  # lanes at which the hardware counts as narrow
RECURRENT = ["rnn", "lstm", "gru"]


def nearest(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows whose size of that name is nearest to the one that sentences tell of."""
    return rows[rows[name] == wording.nearest(rows[name], AT[name])]


def nearest_cell(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of the cell that is nearest."""
    return nearest(nearest(cells, "seq_len"), "hid_size")


def of_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the LSTM, or of the first layer where it was not timed."""
    name = LAYER if LAYER in set(table.layer) else table.layer.iloc[0]
    return table[table.layer == name]


def within(quotient: pd.Series) -> pd.Series:
    """Whether a measured ratio is within 15 % of the counted one."""
    return abs(np.log(quotient)) <= np.log(1 + WITHIN)


# ---- width -------------------------------------------------------------------------------------


def width_sentence(table: pd.DataFrame, phrases: dict[str, str] | None = None) -> str:
    """Block over layer in one cell, with the narrowest vectors and with the widest."""
    phrases = phrases or EN
    rows = nearest_cell(of_layer(table)).sort_values("lanes")
    first, last = rows.iloc[0], rows.iloc[-1]
    agrees = first.lanes == 1 and within(first.quotient)
    return phrases["width agrees" if agrees else "width differs"].format(
        a=phrases.get(first.layer, first.layer), b=phrases[runs.REFERENCE], s=first.seq_len,
        h=first.hid_size, n=floats(first.lanes, phrases), m=floats(last.lanes, phrases),
        x=wording.ratio_text(first.ratio), y=wording.ratio_text(first.flops_ratio),
        z=wording.ratio_text(last.ratio))


def floats(lanes: int, phrases: dict[str, str]) -> str:
    """How many a vector holds."""
    return phrases["one float" if lanes == 1 else "floats"].format(n=lanes)


def long_and_wide(table: pd.DataFrame) -> pd.DataFrame:
    """The cells where products are nearly all of the work."""
    return table[(table.seq_len >= LONG) & (table.hid_size >= WIDE)]


def spread_sentence(table: pd.DataFrame) -> str:
    """Measured over counted of one layer at long lengths, at each width."""
    rows = long_and_wide(of_layer(table))
    parts = [f"{wording.two(group.quotient.min())} to {wording.two(group.quotient.max())} with "
             f"{lanes}" for lanes, group in rows.groupby("lanes")]
    return (f"For SeqLen from {LONG} and HidSize from {WIDE} the measured ratio over the counted "
            f"one is {', '.join(parts)} floats per vector.")


def width_rows(table: pd.DataFrame, cells: list[tuple[int, int]]) -> tuple[list[str], list]:
    """Block over layer in some cells, a column for each width."""
    lanes = sorted(table.lanes.unique())
    header = ["S, H", "by operations", *(f"{n} lane{'s' if n > 1 else ''}" for n in lanes)]
    lines = []
    for seq_len, hid_size in cells:
        rows = table[(table.seq_len == seq_len) & (table.hid_size == hid_size)].set_index("lanes")
        if len(rows):
            lines.append([f"{seq_len}, {hid_size}", wording.two(rows.flops_ratio.iloc[0]),
                          *(wording.two(rows.ratio[n]) if n in rows.index else "-"
                            for n in lanes)])
    return header, lines


def width_text(table: pd.DataFrame) -> str:
    """For a terminal: every cell, layer by layer."""
    cells = sorted(set(zip(table.seq_len, table.hid_size)), key=lambda cell: cell[::-1])
    parts = []
    for layer, rows in table.groupby("layer", sort=False):
        parts += [f"Transformer block / {layer}, by operations and measured:",
                  wording.text_table(*width_rows(rows, cells)), ""]
    return "\n".join([*parts, width_sentence(table)])


def width_section(folder: Path) -> str:
    """The table of the page."""
    table = of_layer(runs.load_derived(folder, "width.csv"))
    return wording.markdown_table(*width_rows(table, ROWS))


def width_shares(folder: Path) -> str:
    """Share of the peak of each layer at one SeqLen, for every HidSize and width."""
    found = []
    for lanes, run_dir in widths.by_lanes(sorted(folder.glob("lanes*"))).items():
        rows = nearest(batches.shares(runs.load_summary(run_dir)), "seq_len")
        found.append(rows.assign(lanes=lanes))
    table = pd.concat(found, ignore_index=True)
    every = sorted(set(table.lanes))
    lines = []
    for (layer, hid_size), rows in table.groupby(["layer", "hid_size"], sort=False):
        share = rows.set_index("lanes").share
        lines.append([layer, str(hid_size),
                      *(f"{share[n]:.0%}" if n in share else "-" for n in every)])
    return wording.markdown_table(
        [f"layer (SeqLen {table.seq_len.iloc[0]})", "HidSize",
         *(f"{n} lane{'s' if n > 1 else ''}" for n in every)], lines)


# ---- batch -------------------------------------------------------------------------------------


def agreeing_batch(cells: pd.DataFrame) -> float:
    """From which BatchSize on the ratio stays within 15 % of the count; NaN: not."""
    off = cells.batch[~within(cells.quotient)].max()
    return float((cells.batch if np.isnan(off) else cells.batch[cells.batch > off]).min())


def batch_sentences(run_dir: Path, phrases: dict[str, str] | None = None) -> list[str]:
    """Half of the peak, and the ratio with one sequence and with the most."""
    phrases = phrases or EN
    summary = runs.load_summary(run_dir)
    cells = of_layer(counted.best_cells(run_dir))
    rows = nearest_cell(cells).sort_values("batch")
    first, last = rows.iloc[0], rows.iloc[-1]
    half = batches.half_from(summary)
    half = half[half.layer == first.layer]
    half = np.nan if half.empty else nearest_cell(half).half_from.iloc[0]
    told = {"a": phrases.get(first.layer, first.layer), "b": phrases[runs.REFERENCE],
            "s": first.seq_len, "h": first.hid_size, "n": first.batch, "m": last.batch,
            "x": wording.ratio_text(first.ratio), "y": wording.ratio_text(first.flops_ratio),
            "z": wording.ratio_text(last.ratio)}
    found = [phrases["batch"].format(**told)]
    if half > first.batch:
        found.append(phrases["batch half"].format(**told | {"x": f"{half:.0f}"}))
    agreed = agreeing_batch(rows)
    found.append(phrases["batch agrees" if np.isfinite(agreed) else "batch differs"].format(
        **told | {"x": f"{agreed:.0f}" if np.isfinite(agreed) else ""}))
    return found


def batch_rows(run_dir: Path) -> tuple[list[str], list]:
    """Share of the peak of each layer at one HidSize over BatchSize, and from where on half."""
    summary = runs.load_summary(run_dir)
    shares = batches.shares(summary)
    half = batches.half_from(summary).set_index(batches.CELL).half_from
    if shares.empty:
        return [], []
    shares = nearest(shares, "hid_size")
    every = sorted(shares.batch.unique())
    lines = []
    for cell, rows in shares.groupby(batches.CELL, sort=False):
        by_batch = rows.set_index("batch").share
        lines.append([cell[0], str(cell[1]),
                      *(f"{by_batch[b]:.0%}" if b in by_batch else "-" for b in every),
                      f"{half[cell]:.0f}" if np.isfinite(half[cell]) else "never"])
    return [f"layer (HidSize {shares.hid_size.iloc[0]})", "SeqLen", *(f"B={b}" for b in every),
            "half of it from B"], lines


def batch_section(run_dir: Path) -> str:
    """The table of the page."""
    return wording.markdown_table(*batch_rows(run_dir))


def batch_text(run_dir: Path) -> str:
    """For a terminal."""
    header, lines = batch_rows(run_dir)
    shares = ["Share of the core's multiply-add rate (roof/fma), for BatchSize B:",
              wording.wrapped_table(header, lines, kept=2, numbers_from=2), ""] if lines else []
    return "\n".join([*shares, *batch_sentences(run_dir)])


# ---- cores, predicted --------------------------------------------------------------------------


def cores_rows(table: pd.DataFrame) -> tuple[list[str], list]:
    """Predicted block over layer on so many cores, at the longest SeqLen, from whatif.csv."""
    rows = prediction.over_cores(table)
    counts = sorted(set(rows.cores))
    lines = []
    for layer in [name for name in prediction.COMPARED if name in set(rows.layer)]:
        at = rows[rows.layer == layer].set_index("cores").ratio_at_max_seq_len
        lines.append([layer, *(wording.two(at[count]) for count in counts)])
    return ["layer", *("1 core" if n == 1 else f"{n}{prediction.CORES}" for n in counts)], lines


def cores_section(run_dir: Path) -> str:
    """The table, under a sentence that says what it is."""
    table = nearest(runs.least_batch(runs.load_derived(run_dir, "whatif.csv")), "hid_size")
    length = runs.load_summary(run_dir).query("kind == 'layer'").seq_len.max()
    return "\n\n".join([
        f"Predicted, not measured: block time over layer time on several cores, one sequence of "
        f"{length} tokens, HidSize {table.hid_size.iloc[0]}, engine {table.engines.iloc[0]}. All "
        "time is divided by the number of cores; each step of a recurrent layer waits "
        f"{table.barrier_ns.max():.0f} ns for the others, which is an assumption "
        "(`scripts/predict.py --barrier`).",
        wording.markdown_table(*cores_rows(table))])


# ---- the page ----------------------------------------------------------------------------------


def front(width_folder: Path, phrases: dict[str, str]) -> str:
    """The sentence for the front page."""
    return width_sentence(runs.load_derived(width_folder, "width.csv"), phrases)


def section(width_folder: Path, batch_run: Path) -> str:
    """The paragraph of answer."""
    table = runs.load_derived(width_folder, "width.csv")
    return " ".join([width_sentence(table), spread_sentence(table), *batch_sentences(batch_run)])


def farthest(rows: pd.DataFrame) -> str:
    """The cell that is farthest from its count."""
    row = rows.loc[abs(np.log(rows.quotient)).idxmax()]
    return (f"farthest from it is {row.layer} at SeqLen {row.seq_len}, HidSize {row.hid_size}: "
            f"{wording.two(row.quotient)} of the count")


def narrow_sentence(table: pd.DataFrame) -> str:
    """Whether narrow vectors bear out the count, for wide layers and long sequences."""
    rows = long_and_wide(table)
    rows = rows[(rows.lanes == NARROW) & rows.layer.isin(prediction.COMPARED)]
    return (f"Expected: with vectors of {NARROW} floats the clock agrees with the count. Found: "
            f"in {within(rows.quotient).sum()} of {len(rows)} cells (RNN and LSTM, HidSize from "
            f"{WIDE}, SeqLen from {LONG}) within 15 %; {farthest(rows)}.")


def return_sentence(batch_run: Path) -> str:
    """Whether the ratio returns to the count as the batch grows."""
    cells = counted.best_cells(batch_run)
    cells = cells[cells.layer.isin(RECURRENT)]
    one, most = (cells[cells.batch == b] for b in (cells.batch.min(), cells.batch.max()))
    return (f"Expected: with many sequences at once the ratio returns to the count, however wide "
            f"the vectors. Found: within 15 % in {within(one.quotient).sum()} of {len(one)} cells "
            f"with BatchSize {one.batch.min()}, in {within(most.quotient).sum()} of {len(most)} "
            f"with {most.batch.max()} (RNN, LSTM, GRU); there {farthest(most)}.")


def predicted_sentence(batch_run: Path) -> str:
    """How near the roofs come to the times of the run of batches."""
    table = runs.load_derived(batch_run, "predict.csv")
    table = table[(table.kind == "layer") & table.error.notna()]
    one, more = (table.error[is_one].abs() for is_one in (table.batch == 1, table.batch > 1))
    by_layer = more.groupby(table.layer[more.index]).median()
    return (f"Expected: the roofs alone tell the times. Found: with a median error of "
            f"{one.median():.0%} with BatchSize 1 ({len(one)} cases), and of {more.median():.0%} "
            f"with more ({len(more)} cases); worst is {by_layer.idxmax()} with "
            f"{by_layer.max():.0%}.")


def expected_section(width_folder: Path, batch_run: Path) -> str:
    """What was expected and what was found, one bullet each."""
    table = runs.load_derived(width_folder, "width.csv")
    return "\n".join(f"- {line}" for line in (
        narrow_sentence(table), return_sentence(batch_run), predicted_sentence(batch_run)))
