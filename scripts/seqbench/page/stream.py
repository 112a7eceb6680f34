"""One page of a stream: every case with its quantiles, and a deadline to type in."""
from __future__ import annotations

from pathlib import Path

from seqbench.figures.drawing import PALETTE
from seqbench.page import embed
from seqbench.read import runs
from seqbench.words import streaming, wording

QUANTILES = {"p50_ns": "p50", "p90_ns": "p90", "p99_ns": "p99", "p999_ns": "p99.9",
             "max_ns": "longest"}


def is_of(folder: Path) -> bool:
    """Whether a folder holds what scripts/stream.py has summed up."""
    return (folder / "stream.csv").exists()


def row_of(row) -> dict:
    """What the page knows of one row of stream.csv; times in ns, None where there is none."""
    return {"layer": row.layer, "kernel": f"{row.kernel.partition('/')[2] or row.kernel} {row.engine}",
            "tokens": "" if row.layer in runs.ONE_TOKEN else str(row.seq_len), "h": row.hid_size, "perHead": row.hid_size // row.heads if row.heads > 1 else "",
            "between": streaming.condition_text(row.condition, row.period_ns),
            "calls": row.calls, "ns": [embed.rounded(getattr(row, name)) for name in QUANTILES]}


def page(folder: Path) -> str:
    """The whole page."""
    table = runs.load_derived(folder, "stream.csv")
    rows = [row_of(row) for row in table.itertuples()]
    return embed.template("stream.html").render(
        folder=folder.resolve().name, palette=PALETTE, quantiles=list(QUANTILES.values()),
        clock=f"{table.clock_ns.median():.0f}", rows=rows, plain=wording.plain,
        deadlines=[ns / 1000 for ns in streaming.DEADLINES],
        style=embed.piece("style.css"),
        script=embed.piece("stream.js"), data=embed.embedded(rows))
