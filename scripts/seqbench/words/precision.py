"""What fewer bytes per weight give and cost, in tables: from a run of several engines."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import precision, ratios
from seqbench.words import wording

SIZE = 512  # HidSize of the sentences, or the nearest that was timed
ORDER = ["packed", "packed-bf16", "packed-int8"]  # from wide to narrow
LENGTH = 1024  # SeqLen of the tables, or the nearest that was timed
CROSSING = ["lstm", "gru"]
NAMES = {"packed": "float32", "packed-bf16": "bfloat16", "packed-int8": "int8",
         "packed-sparse20": "20 % kept", "packed-sparse30": "30 % kept",
         "packed-sparse50": "50 % kept"}


def pivot(table: pd.DataFrame, values: list[str], text) -> str:
    """A line for each layer and engine, a column for each HidSize."""
    sizes = sorted(table.hid_size.unique())
    lines = []
    for (layer, engine), rows in table.groupby(["layer", "engine"], sort=False):
        by_size = rows.set_index("hid_size")[values]
        lines.append([layer, NAMES.get(engine, engine), *(
            text(*by_size.loc[size]) if size in by_size.index else "-" for size in sizes)])
    return wording.markdown_table(["layer", "weights", *(f"H={size}" for size in sizes)], lines)


def gains_of(run_dir: Path) -> pd.DataFrame:
    """Layers at one SeqLen; decode against its shortest and its longest context."""
    table = precision.gains(runs.load_derived(run_dir, "roofline.csv"))
    if table.empty:
        raise runs.RunError(f"{run_dir}: no layer was timed with {precision.FLOAT32} and with an "
                            "engine of fewer bytes per weight")
    whole, one = (table[table.tokens == tokens] for tokens in ("all", "one"))
    whole = whole[whole.seq_len == wording.nearest(whole.seq_len, LENGTH)]
    ends = one[one.seq_len.isin([one.seq_len.min(), one.seq_len.max()])]
    ends = ends.assign(layer=ends.layer + ", " + ends.seq_len.astype(str) + " keys")
    return pd.concat([whole, ends], ignore_index=True)


def gain_section(run_dir: Path) -> str:
    """Time of float32 over that of the engine; behind it what the roofs say."""
    def text(gain: float, expected: float) -> str:
        return wording.times(gain) + (f" ({wording.two(expected)})" if np.isfinite(expected) else "")
    table = gains_of(run_dir)
    near = (table.gain / table.expected - 1).abs() <= 0.2
    known = table.expected.notna()
    words = (f"SeqLen {table.seq_len[table.tokens == 'all'].iloc[0]}. In parentheses what the "
             f"roofs say; measured is within 20 % of that in {(near & known).sum()} of "
             f"{known.sum()} cells.")
    return f"{words}\n\n{pivot(table, ['gain', 'expected'], text)}"


def share_section(run_dir: Path) -> str:
    """Share of the roof of that precision."""
    table = gains_of(run_dir)
    return pivot(table[table.tokens == "all"], ["share"], lambda share: f"{share:.0%}")


def crossings_of(run_dir: Path) -> pd.DataFrame:
    """Rows of crossover.csv of layers against a block of equal size, for each precision."""
    table = runs.load_derived(run_dir, "crossover.csv")
    return table[(table.lens == ratios.PARAMETER) & table.layer.isin(CROSSING)
                 & table.engines.isin(ORDER)]


def in_tokens(row) -> str:
    """Where a layer takes less time, in a sentence."""
    words = wording.faster_where(row)
    if words.startswith("S > "):
        return f"from {words[4:]} tokens on"
    return f"up to {words[4:]} tokens" if words.startswith("S < ") else words


def answer_section(run_dir: Path) -> str:
    """What the precision of both sides does to the crossing, at one HidSize."""
    table = crossings_of(run_dir)
    table = table[table.hid_size == wording.nearest(table.hid_size, SIZE)]
    found = []
    for layer, rows in table.groupby("layer", sort=False):
        by_engine = rows.set_index("engines").reindex(ORDER).dropna(subset="verdict")
        places = wording.listing([f"with {NAMES[row.Index]} {in_tokens(row)}"
                                  for row in by_engine.itertuples()])
        found.append(f"- {layer.upper()}: less time than a Transformer block of equal size "
                     f"{places} (HidSize {rows.hid_size.iloc[0]}).")
    return "\n".join(found)


def crossing_section(run_dir: Path) -> str:
    """From which SeqLen a layer takes less time than a block of equal size, for each precision."""
    table = crossings_of(run_dir)
    sizes = sorted(table.hid_size.unique())
    lines = [[layer, NAMES[engines], *(wording.faster_where(row) for size in sizes
              for row in rows[rows.hid_size == size].head(1).itertuples())]
             for (layer, engines), rows in table.groupby(["layer", "engines"])]
    return wording.markdown_table(["layer", "weights", *(f"H={size}" for size in sizes)], lines)


def accuracy_of(run_dir: Path, name: str = "accuracy.csv") -> pd.DataFrame:
    """accuracy.csv beside a run, with the layer of each kernel."""
    table = runs.read_columns(run_dir / name, runs.schema(runs.README, "accuracy.csv"))
    return table.assign(layer=table.kernel.str.extract(r"^([^/.]+)")[0])


def accuracy_section(run_dir: Path) -> str:
    """Relative error of each engine, over HidSize."""
    table = accuracy_of(run_dir).groupby(["layer", "engine", "hid_size"], sort=False,
                                         as_index=False).rms.max()
    return pivot(table, ["rms"], lambda rms: f"{100 * rms:.2g} %")


def growth_section(run_dir: Path) -> str:
    """Relative error over the windows of a long sequence."""
    table = accuracy_of(run_dir, "accuracy_long.csv")
    table = table[table.engine.isin(precision.narrow_engines(table.engine))]
    table = table[table.hid_size == table.hid_size.max()]
    errors = table.pivot_table(index=["layer", "engine"], columns="last_token", values="rms",
                               aggfunc="max", sort=False)
    ends = list(errors.columns)
    starts = [1, *(end + 1 for end in ends)]
    header = [f"layer (H={table.hid_size.iloc[0]})", "weights",
              *(f"{start} to {end}" for start, end in zip(starts, ends))]
    lines = [[layer, NAMES.get(engine, engine), *(f"{100 * rms:.2g} %" for rms in row)]
             for (layer, engine), row in zip(errors.index, errors.to_numpy())]
    growth = wording.short_spread(errors[ends[-1]] / errors[ends[0]])
    return (f"{wording.markdown_table(header, lines)}\n\nThe last of these errors over the first: "
            f"{growth}.")
