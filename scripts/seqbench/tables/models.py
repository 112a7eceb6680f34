"""models.csv: how long the layers of models that people run take, from a run of their shapes."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import dimensions, runs
from seqbench.tables import precision, ratios

MODELS = Path(__file__).resolve().parents[2] / "models.csv"
COLUMNS = {"model": "text", "part": "text, may be empty", "purpose": "text", "layer": "text",
           "layers": "dimension", "seq_len": "dimension", "hid_size": "dimension",
           "heads": "dimension", "input": dimensions.OR_0, "kv_heads": dimensions.OR_0,
           "ffn_size": dimensions.OR_0, "tokens_per_second": "number",
           "differs": "text, may be empty", "source": "text"}
SIZES = [column for column in dimensions.COLUMNS if column in COLUMNS]
SHAPE = ["layer", *SIZES]
# Layers of one job, what they are set against at the same HidSize, and at which SeqLen (None: the
# same). One token against a context is set against one token of a layer whose state does not grow.
JOBS = [({"rnn", "lstm", "gru", "slstm", "ssru"}, ["lstm", "gru", "slstm", "ssru"], None),
        ({"transformer", "gpt", "modern", "mamba", "mamba2"}, ["modern", "mamba"], None),
        ({"causal_attention", "gated_deltanet", "rwkv7", "mlstm", "rglru", "short_conv"},
         ["causal_attention", "gated_deltanet", "rwkv7", "mlstm"], None),
        ({"decode", "modern_decode"}, ["mamba"], 1)]
ROUNDS, BUDGET_S = 5, 540


def load() -> pd.DataFrame:
    """scripts/models.csv, checked."""
    table = runs.read_columns(MODELS, COLUMNS).fillna({"part": "", "differs": ""})
    runs.refuse(MODELS, table.duplicated(["model", "part"]), "this part is there already")
    runs.refuse(MODELS, table.hid_size % table.heads != 0, "hid_size is not a multiple of heads")
    return table.reset_index(drop=True)


def alternatives(shape: pd.Series) -> pd.DataFrame:
    """The shapes that a model's layer is set against."""
    for layers, names, seq_len in JOBS:
        if shape.layer in layers:
            sizes = {"seq_len": seq_len or shape.seq_len, "hid_size": shape.hid_size}
            return pd.DataFrame([dict.fromkeys(SIZES, 0) | sizes | {"layer": name}
                                 for name in names if name != shape.layer], columns=SHAPE)
    raise runs.RunError(f"{MODELS}: {shape.layer}: no layers of its job are known")


def case_line(shape: pd.Series) -> str:
    """A line of a grid; what is not given, or one head, is as the layer has it."""
    names = {dimension.column: dimension.name for dimension in dimensions.ALL}
    sizes = [f"{names[column]}={shape[column]}" for column in SIZES
             if shape[column] > (column == "heads")]
    return " ".join(["case", shape.layer, *sizes])


def grid() -> str:
    """The grid of all shapes and of those that they are set against."""
    models = load()
    others = [alternatives(shape) for _, shape in models.iterrows()]
    shapes = pd.concat([models[SHAPE], *others])
    lines = list(dict.fromkeys(case_line(shape) for _, shape in shapes.iterrows()))
    return "\n".join([f"rounds {ROUNDS}", f"budget {BUDGET_S}", *lines, ""])


def best_of(summary: pd.DataFrame) -> pd.DataFrame:
    """The fastest variant of each layer, shape and engine, with its time per token."""
    timed = summary[summary.median_ns.notna() & (summary.kind == "layer")]
    best = precision.fastest(timed)
    tokens = best.seq_len.where(best.tokens == "all", 1)
    return best.assign(**{name: best[f"{column}_ns"] / tokens / 1000 for name, column in
                          [("us_per_token", "median"), ("low_us", "ci_low"), ("high_us", "ci_high")]})


def fastest_alternative(best: pd.DataFrame, shape: pd.Series, row: pd.Series) -> dict:
    """The layer of the same job that takes the least time with as many parameters."""
    beside = best[(best.engine == row.engine)].merge(
        alternatives(shape)[["layer", "seq_len", "hid_size"]],
        on=["layer", "seq_len", "hid_size"])
    beside = beside[(beside.parameters > 0) & (beside[dimensions.OPTIONAL] == 0).all(axis=1)]
    if beside.empty:
        return {"alternative": "", "alternative_times": float("nan")}
    per_parameter = beside.us_per_token / beside.parameters.astype(float)
    place = per_parameter.idxmin()
    own = row.us_per_token / float(row.parameters)
    return {"alternative": beside.layer[place], "alternative_times": per_parameter[place] / own}


def of_run(run_dir: Path) -> pd.DataFrame:
    """One row per part of a model and engine; without those that the run does not have."""
    summary = runs.load_summary(run_dir)
    best, rows = best_of(summary), []
    for _, shape in load().iterrows():
        here = best[(best.layer == shape.layer) & (best[SIZES] == shape[SIZES].astype(int)).all(axis=1)]
        for _, row in here.iterrows():
            layers_us = row.us_per_token * shape.layers
            rows.append({**shape[["model", "part", "layer", "layers"]], **shape[SIZES],
                         "kernel": row.kernel, "engine": row.engine,
                         **row[["us_per_token", "low_us", "high_us"]], "layers_us": layers_us,
                         "core_share": layers_us * shape.tokens_per_second / 1e6
                         if shape.tokens_per_second else float("nan"),
                         **fastest_alternative(best, shape, row)})
    if not rows:
        raise runs.RunError(f"{run_dir}: none of the shapes of {MODELS.name} was timed: "
                            "`make models` makes such a run")
    return pd.DataFrame(rows)


def names(sizes: pd.DataFrame) -> list[list]:
    """Models whose shapes lie within the sizes of some cases, for a look-up: name, SeqLen, HidSize."""
    inside = load()
    for column in ("seq_len", "hid_size"):
        inside = inside[inside[column].between(sizes[column].min(), sizes[column].max())]
    return [[f"{row.model}{', ' if row.part else ''}{row.part}", row.seq_len, row.hid_size]
            for row in inside.itertuples()]
