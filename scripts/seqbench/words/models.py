"""How long the layers of named models take, in tables: from a run of `make models`."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import models
from seqbench.words import answer, wording

FLOAT32 = ["openblas", "packed"]
NARROW = ["packed-bf16", "packed-int8"]
HEADER = ["model", "what it is for", "layers", "S", "float32, µs per token", "bfloat16", "int8",
          "of one core", "alternative"]


def shape_text(row: pd.Series) -> str:
    """3 gru, H=256"""
    sizes = [f"H={row.hid_size}", *(f"{word}={row[column]}" for word, column in
             [("A", "heads")] if row[column] > 1),
             *(f"{word} {row[column]}" for word, column in
               [("input", "input"), ("kv heads", "kv_heads"), ("FFN", "ffn_size")] if row[column])]
    return f"{row.layers} {row.layer}, {', '.join(sizes)}"


def fastest(rows: pd.DataFrame, engines: list[str]) -> pd.Series | None:
    """The row of the fastest of some engines."""
    rows = rows[rows.engine.isin(engines)]
    return None if rows.empty else rows.loc[rows.layers_us.idxmin()]


def time_text(row: pd.Series | None) -> str:
    """Microseconds of all layers for one token."""
    return "-" if row is None else wording.two(row.layers_us)


def share_text(row: pd.Series) -> str:
    """Time over the time of the signal, in percent of a core."""
    return f"{wording.two(100 * row.core_share)} %" if np.isfinite(row.core_share) else "-"


def alternative_text(row: pd.Series) -> str:
    """gru 0.80x: with as many parameters it takes that much of the time."""
    if not isinstance(row.alternative, str) or not row.alternative:
        return "-"
    return f"{row.alternative} {wording.times(row.alternative_times)}"


def lines_of(table: pd.DataFrame) -> list[list[str]]:
    """A line for each part of a model."""
    told = models.load().set_index(["model", "part"])
    lines = []
    for (model, part), rows in table.fillna({"part": ""}).groupby(["model", "part"], sort=False):
        best = fastest(rows, FLOAT32)
        if best is None:
            continue
        facts = told.loc[(model, part)]
        mark = "*" if facts.differs else ""
        lines.append([f"[{model}]({facts.source}){mark}{', ' if part else ''}{part}", facts.purpose,
                      shape_text(best), str(best.seq_len), time_text(best),
                      *(time_text(fastest(rows, [engine])) for engine in NARROW),
                      share_text(best), alternative_text(best)])
    return lines


def differences() -> str:
    """What a model does otherwise than the layer that was timed."""
    told = models.load()
    told = told[told.differs != ""].drop_duplicates(["model", "differs"])
    return "\n".join(f"- {row.model}: {row.differs}." for row in told.itertuples())


def table_of(run_dir: Path) -> pd.DataFrame:
    """models.csv of a run."""
    return runs.load_derived(run_dir, "models.csv")


def sentences(table: pd.DataFrame) -> list[str]:
    """What a reader takes home: real time, and what fewer bytes per weight give."""
    best = table[table.engine.isin(FLOAT32)].sort_values("layers_us").drop_duplicates(["model", "part"])
    paced = best[best.core_share.notna()].groupby("model").core_share.sum().sort_values()
    found = []
    if len(paced):
        found.append(f"Of {len(paced)} models that read or make a signal with a known frame rate, the "
                     f"layers of {(paced < 1).sum()} keep up with it on this core (float32); the least takes "
                     f"{wording.two(100 * paced.iloc[0])} % of it ({paced.index[0]}), the most "
                     f"{wording.two(100 * paced.iloc[-1])} % ({paced.index[-1]}).")
    narrow = best.merge(table[table.engine == NARROW[-1]], on=["model", "part"], suffixes=("", "_narrow"))
    if len(narrow):
        gains = narrow.layers_us / narrow.layers_us_narrow
        found.append(f"Time with float32 over time with int8: {wording.spread(gains)} (median "
                     f"{wording.times(gains.median())}); above 1 int8 takes less.")
    return found


def section(run_dir: Path) -> str:
    """The machine, sentences and the table."""
    table = table_of(run_dir)
    words = "\n".join(f"- {sentence}" for sentence in sentences(table))
    machine = answer.machine_sentence(hosts.load(run_dir))
    return f"{machine}\n\n{words}\n\n{wording.markdown_table(HEADER, lines_of(table))}"


def text(run_dir: Path) -> str:
    """The same for a terminal, without links and purposes."""
    table = table_of(run_dir)
    lines = []
    for (model, part), rows in table.fillna({"part": ""}).groupby(["model", "part"], sort=False):
        best = fastest(rows, FLOAT32)
        if best is not None:
            lines.append([f"{model}{', ' if part else ''}{part}"[:40], shape_text(best)[:34],
                          time_text(best), share_text(best), alternative_text(best)])
    return "\n".join([*sentences(table), "", "Microseconds per token of all layers:", "",
                      wording.text_table(["model", "layers", "float32", "of a core", "alternative"],
                                             lines)])
