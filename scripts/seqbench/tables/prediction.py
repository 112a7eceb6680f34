"""Predict every case and every crossover of a run from the roofs alone, and what other roofs do."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import crossover, rates, ratios, roofline
from seqbench.tables.table import Made, Unknown

# What kernels.csv must say of a kernel for it to be predicted.
KNOWN = {"products": ["sequence", "step", "none"], "packing": ["call", "before", "none"]}
PARTS = ["gemm_ns", "gemv_ns", "transcendental_ns", "elementwise_ns"]
CHANGES = ["L2 size", "L2 bandwidth", "L3 bandwidth", "FMA rate"]
FACTORS = {"doubled": 2.0, "halved": 0.5}
COMPARED = ["lstm", "rnn"]  # layers of the what-if table
MEASURED, PREDICTED, CORES = "measured", "predicted", " cores"  # in the column `change`
CORE_COUNTS = [2, 4, 8, 16, 32, 64]
BARRIER_NS = 500  # that a step waits for the other cores; an assumption
NEEDED = {"fma": "roof/fma", "sgemm": "roof/sgemm"}


# ---- cases -------------------------------------------------------------------------------------


def calibrated(summary: pd.DataFrame, host: dict) -> rates.Roofs:
    """The roofs of a run, if those that no prediction can do without are there."""
    machine = rates.roofs_of(summary, host)
    missing = [name for field, name in NEEDED.items() if not np.isfinite(getattr(machine, field))]
    if not machine.sgemv.sizes:
        missing.append("roof/sgemv")
    if missing:
        raise Unknown(f"not timed: {', '.join(missing)}")
    return machine


def walked_bytes(rows: pd.DataFrame) -> pd.Series:
    """Bytes of the matrices that a run multiplies by vectors, all steps together."""
    is_stepwise = (rows.seq_len == 1) | (rows.products == "step")
    every = rows.flops / 2 * rows.bytes_per_weight
    # Of several sequences at once only streamed_bytes tells what they share and what each has.
    return every.where(is_stepwise & (roofline.at_once(rows) == 1),
                       rows.streamed_bytes).astype(float)


def is_known(rows: pd.DataFrame) -> pd.Series:
    """Whether kernels.csv says what a prediction needs."""
    found = rows.bytes_per_weight > 0
    for fact, words in KNOWN.items():
        found = found & rows[fact].isin(words)
    return found


def predicted_parts(summary: pd.DataFrame, machine: rates.Roofs) -> pd.DataFrame:
    """Predicted times of the timed layers and parts, in ns; a part without a roof is NaN."""
    rows = summary.astype(dict.fromkeys(runs.COSTS, float))
    walked, steps, at_once = walked_bytes(rows), roofline.steps(rows), roofline.at_once(rows)
    per_step = walked / steps
    walked_flops = np.minimum(rates.multiply_adds(walked, rows.bytes_per_weight) * at_once,
                              rows.flops)
    gemm_flops = (rows.flops - walked_flops).clip(lower=0)
    packs = rows.packing != "before"
    # The weights that a product of the whole sequence packs: those that no step walks through.
    packed = (roofline.weight_bytes(rows) - per_step).clip(lower=0).where(
        (gemm_flops > 0) & packs, 0)
    packing = np.nan_to_num(machine.packing.at(packed)) * packed
    # A product with the vector of one sequence reads the matrix; one with several packs it.
    stepping = np.where(at_once > 1, walked_flops / machine.sgemm
                        + np.nan_to_num(machine.packing.at(per_step)) * walked,
                        walked * machine.sgemv.at(per_step))
    parts = pd.DataFrame({
        "gemm_ns": roofline.products_ns(rows, walked_flops, machine, machine.sgemm) + packing,
        "gemv_ns": np.where(packs, stepping,
                            steps * machine.walking_ns(per_step, walked_flops / steps,
                                                        machine.speed(rows.roof))),
        "transcendental_ns": machine.evaluating_ns(rows),
        "elementwise_ns": rows.elementwise_flops / (machine.fma / 2)}, index=rows.index)
    return parts[is_known(rows)].reindex(rows.index)


def predicted_total(parts: pd.DataFrame) -> pd.Series:
    """The sum of the parts; NaN where the roof is not known that the steps read at."""
    return roofline.known_sum(parts).where(parts.gemv_ns.notna())


def predict(summary: pd.DataFrame, machine: rates.Roofs) -> pd.DataFrame:
    """predict.csv: one row per timed layer and part, ordered as summary.csv."""
    timed = summary[(summary.samples > 0) & (summary.kind != "roof")]
    parts = predicted_parts(timed, machine)
    total = predicted_total(parts)
    table = timed[[*runs.CASE, "tokens"]].assign(
        predicted_ns=total, **parts, median_ns=timed.median_ns, error=total / timed.median_ns - 1)
    return table[list(runs.schema(runs.README, "predict.csv"))]


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """Median and 90th percentile of the absolute error, of all cases and per kind and engine."""
    table = table[table.error.notna()]
    size = table.error.abs()
    groups = [("all cases", size)] if len(table) else []
    groups += [(f"{kind}s, {engine}", size[rows.index])
               for (kind, engine), rows in table.groupby(["kind", "engine"])]
    groups += [(f"{kernel}, {engine}", size[rows.index])
               for (kernel, engine), rows in table.groupby(runs.KERNEL)]
    return pd.DataFrame([{"cases": name, "count": len(values), "median": values.median(),
                          "p90": values.quantile(0.9)} for name, values in groups])


# ---- crossovers --------------------------------------------------------------------------------


def with_times(summary: pd.DataFrame, machine: rates.Roofs) -> pd.DataFrame:
    """The cases that can be predicted, with these times in place of the measured ones."""
    times = predicted_total(predicted_parts(summary, machine))
    return summary.assign(median_ns=times)[times.notna()]


def compared_engine(whole: pd.DataFrame) -> str:
    """The class of engines that whatif.csv is of: the headline's where the block was timed so."""
    blocks = whole[whole.layer == runs.REFERENCE]
    return runs.HEADLINE if runs.HEADLINE in set(blocks.engine) else ratios.best_class(whole)


def crossover_rows(change: str, summary: pd.DataFrame, engine: str,
                   barrier_ns: float = np.nan) -> list[dict]:
    """Rows of whatif.csv of one machine."""
    found = []
    groups = ratios.relative(summary, engine).groupby(["layer", *runs.ACROSS])
    for (layer, *sizes), cells in groups:
        seq_len, ratio = cells.seq_len.to_numpy(), cells.ratio.to_numpy()
        word, faster_from, crossings = crossover.verdict(seq_len, ratio)
        found.append({"layer": layer, **dict(zip(runs.ACROSS, sizes)), "engines": engine,
                      "change": change, "barrier_ns": barrier_ns, "verdict": word, "faster_from_seq_len": faster_from,
                      "crossings": " ".join(map(runs.format_number, crossings)),
                      "ratio_at_min_seq_len": ratio[0], "ratio_at_max_seq_len": ratio[-1]})
    return found


def on_cores(predicted: pd.DataFrame, count: int, barrier_ns: float) -> pd.DataFrame:
    """Cases with their predicted times as if so many cores shared the work.

    All of it is divided; where something is sequential, each step ends with a barrier.
    """
    waits = roofline.steps(predicted).where(predicted.streamed_bytes.astype(float) > 0, 0)
    return predicted.assign(median_ns=predicted.median_ns / count + waits * barrier_ns)


def what_if(summary: pd.DataFrame, machine: rates.Roofs, barrier_ns: float = BARRIER_NS
            ) -> pd.DataFrame:
    """whatif.csv: crossovers measured, predicted, and predicted for other machines."""
    whole = ratios.whole_sequences(summary)
    engine = compared_engine(whole)
    rows = crossover_rows(MEASURED, whole, engine)
    rows += crossover_rows(PREDICTED, with_times(whole, machine), engine)
    compared = whole[whole.layer.isin([*COMPARED, runs.REFERENCE])]
    for change in CHANGES:
        if change != "FMA rate" and int(change[1]) > len(machine.caches):
            continue
        for word, factor in FACTORS.items():
            other = rates.changed(machine, change, factor)
            rows += crossover_rows(f"{change} {word}", with_times(compared, other), engine)
    for count in CORE_COUNTS:
        shared = on_cores(with_times(compared, machine), count, barrier_ns)
        rows += crossover_rows(f"{count}{CORES}", shared, engine, barrier_ns)
    table = pd.DataFrame(rows, columns=list(runs.schema(runs.README, "whatif.csv")))
    return table.sort_values(["layer", *runs.ACROSS], kind="stable")


def over_cores(table: pd.DataFrame) -> pd.DataFrame:
    """The predicted rows of whatif.csv with as many `cores`: 1 where nothing is changed."""
    rows = table[table.layer.isin(COMPARED) & (
        (table.change == PREDICTED) | table.change.str.endswith(CORES))]
    cores = rows.change.str.removesuffix(CORES).replace(PREDICTED, "1").astype(int)
    return rows.assign(cores=cores)


def predicted_correctly(summary: pd.DataFrame, predicted: pd.DataFrame) -> str:
    """In how many cells the prediction tells which of a layer and the reference is faster."""
    whole = ratios.whole_sequences(summary)
    times = whole[runs.CASE].merge(predicted, how="left", on=runs.CASE).predicted_ns.to_numpy()
    known = np.isfinite(times)
    guessed = ratios.relative(whole.assign(median_ns=times)[known])
    pairs = ratios.relative(whole[known]).merge(
        guessed, on=["layer", *runs.DIMENSIONS], suffixes=("", "_guessed"))
    if pairs.empty:
        return ""
    right = ((pairs.ratio > 1) == (pairs.ratio_guessed > 1)).sum()
    return (f"which of a layer and the Transformer block is faster is predicted correctly in "
            f"{right} of {len(pairs)} cells")


# ---- output ------------------------------------------------------------------------------------


def write(run_dir: Path, roofs_dir: Path, out: Path, barrier_ns: float = BARRIER_NS
          ) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict the grid of one run from the roofs of another or its own; returns both tables."""
    summary, source = (runs.load_cases(folder) for folder in (run_dir, roofs_dir))
    try:
        machine = calibrated(source, hosts.load(roofs_dir))
    except Unknown as unknown:
        raise runs.RunError(f"{roofs_dir}: nothing to predict from: {unknown}") from None
    predicted, changed = predict(summary, machine), what_if(summary, machine, barrier_ns)
    runs.write_text(out / "predict.csv", runs.csv_text(predicted))
    runs.write_text(out / "whatif.csv", runs.csv_text(changed))
    return predicted, changed


MADE = [Made("roofs", ["summary.csv", "host"], calibrated),
        Made("predict.csv", ["summary.csv", "roofs"], predict),
        Made("whatif.csv", ["summary.csv", "roofs"], what_if)]
