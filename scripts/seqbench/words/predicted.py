"""The errors of a prediction and the crossovers it tells, in words."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import prediction
from seqbench.words import wording


def place_of(run_dir: Path, roofs_dir: Path) -> Path:
    """Where the tables belong: where the roofs are, if these are all that was timed there."""
    timed = runs.load_summary(roofs_dir)
    if roofs_dir.resolve() != run_dir.resolve() and (timed.kind != "roof").any():
        raise runs.RunError(f"{roofs_dir}: has a grid of its own, whose prediction is not written "
                            "over: say where to with -o (make predict OUT=dir)")
    return roofs_dir


def crossover_table(changed: pd.DataFrame) -> str:
    """Where each layer is faster than the reference, measured and predicted, per HidSize."""
    rows = changed[changed.change.isin(["measured", "predicted"])]
    labels = wording.size_labels(rows)
    lines = []
    for names, group in rows.groupby(["layer", "change"]):
        cells = {wording.size_of(row): wording.faster_where(row) for row in group.itertuples()}
        lines.append([*names, *(cells.get(key, "-") for key in labels)])
    return wording.wrapped_table(["layer", "faster", *labels.values()], lines)


def report(run_dir: Path, roofs_dir: Path, out: Path | None,
           barrier_ns: float = prediction.BARRIER_NS) -> str:
    """The errors of the prediction and the crossovers, as text."""
    summary = runs.load_summary(run_dir)
    out = out or place_of(run_dir, roofs_dir)
    runs.make_folder(out)
    predicted, changed = prediction.write(run_dir, roofs_dir, out, barrier_ns)
    of_roofs, of_grid = (hosts.setup_name(hosts.load(each)) for each in (roofs_dir, run_dir))
    lines = [f"roofs:    {roofs_dir}: {of_roofs}", f"measured: {run_dir}: {of_grid}"]
    if of_roofs != of_grid:
        lines.append("Two machines: what is called error below is how much they differ, too.")
    found = [[row.cases, str(row.count), f"{row.median:.1%}", f"{row.p90:.1%}"]
             for row in prediction.errors(predicted).itertuples(index=False)]
    lines += ["", "error of the predicted time, absolute",
              wording.text_table(["cases", "count", "median", "90 %"], found, numbers_from=1)]
    if told := prediction.predicted_correctly(summary, predicted):
        lines += ["", f"{told[0].upper()}{told[1:]}.", "", "SeqLen at which a layer is faster "
                  "than the Transformer block:", "", crossover_table(changed)]
    return "\n".join([*lines, "", f"{out}: predict.csv, whatif.csv"])
