"""What files lack that were made before some of today's columns: the one place that fills it in."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from seqbench.read import dimensions

UNKNOWN = "unknown"
EVALUATIONS = ["exps", "logs", "sigmoids", "tanhs", "rsqrts"]
ALL_EVALUATIONS = "transcendentals"  # before they were counted by kind: read as the first
# What the columns below are worked out from; read where there is something to fill in.
SOURCES = {"kernel": "text", "kind": "text", "variant": "text", "engine": "text", "tokens": "text",
           "hid_size": "dimension", "seq_len": "dimension", "bytes": "integer, may be empty",
           ALL_EVALUATIONS: "integer, may be empty"}
STEPWISE = ("literal", "fused", "step")  # variants that multiplied each token by itself
CUT_INTO_PARTS = ("literal", "full")
PACKING = {"openblas": "call", "packed": "before", "onednn": "before", "none": "none"}
FLOAT = 4  # bytes
SQUARE = ("roof/sgemm", "roof/sgemv")  # HidSize x HidSize weights and nothing else


def products(table: pd.DataFrame) -> np.ndarray:
    """Whether a kernel multiplied token by token."""
    is_step = table.variant.isin(STEPWISE) | (table.kind == "step") | (table.tokens == "one")
    return np.where(is_step, "step", "sequence")


def parameters(table: pd.DataFrame) -> pd.Series | float:
    """Those of the roofs; those of layers are the bytes that are neither input nor output."""
    if not {"hid_size", "seq_len", "bytes"} <= set(table):
        return np.nan
    hid_size = table.hid_size.astype(float)
    of_layer = table.bytes / FLOAT - 2 * table.seq_len * hid_size
    varies = of_layer.groupby([table.kernel, hid_size]).transform("nunique") > 1  # a cache is read
    known = (table.kind == "layer") & ~varies
    return (hid_size ** 2).where(table.kernel.isin(SQUARE), of_layer.where(known))


FILL: dict[str, Callable[[pd.DataFrame], object]] = {
    **{name: lambda table: table[ALL_EVALUATIONS] * 0 for name in EVALUATIONS},
    EVALUATIONS[0]: lambda table: table[ALL_EVALUATIONS],
    "parameters": parameters,
    "products": products,
    "batches": lambda table: UNKNOWN,
    "lanes": lambda table: np.nan,
    "parts": lambda table: np.where(table.variant.isin(CUT_INTO_PARTS), "yes", "no"),
    "packing": lambda table: table.engine.map(PACKING).fillna(UNKNOWN),
    "bytes_per_weight": lambda table: 4.0,
    "roof": lambda table: "fma",
    **{f"{name}_per_token": lambda table: np.nan for name in (*EVALUATIONS, "streamed_bytes")},
    "job": lambda table: UNKNOWN,
    "per_block": lambda table: 1,
    "source": lambda table: "",
    "ours_engine": lambda table: UNKNOWN}


def can_fill(column: str, kind: str, header: list[str]) -> bool:
    """Whether a column may be missing from a file with that header."""
    if column in EVALUATIONS:
        return ALL_EVALUATIONS in header
    return kind.startswith("dimension") or column in FILL or (column == "engine" and "kernel" in header)


def filled(table: pd.DataFrame, missing: list[str], engines: Callable[[], dict]) -> pd.DataFrame:
    """The table with its missing columns; a dimension that it does not know was not given."""
    values = {}
    if "engine" in missing:
        table = table.assign(engine=table.kernel.map(engines()).fillna(UNKNOWN).astype(object))
    for column in missing:
        if column != "engine":
            values[column] = FILL[column](table) if column in FILL else dimensions.ABSENT[column]
    return table.assign(**values)
