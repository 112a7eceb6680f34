"""The tables of the page."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.figures.drawing import OTHERS, Run
from seqbench.read import hosts, runs
from seqbench.tables import rates, ratios
from seqbench.words import machines, wording

WIDTHS = [0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, np.inf]


def size_columns(*frames: pd.DataFrame) -> dict[str, str]:
    """Columns of the sizes beside SeqLen, with their headings: those that are not 1 everywhere."""
    told = [name for name in OTHERS
            if any(name in frame and (frame[name] > 1).any() for frame in frames)]
    return {"hid_size": "HidSize", **{name: name for name in told}}


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, and the number by which it is sorted."""
    text: str
    number: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with its heading; `rows` is empty where a note says why."""
    title: str
    note: str
    head: list[str]
    rows: list[list[Cell]]
    lens: str = ""  # of which lens it is, where there is one for each

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return any(row[column].number is not None for row in self.rows)


# ---- cells -------------------------------------------------------------------------------------


def plain(value) -> str:
    """A count as it is, any other number with two digits: the CSV files hold more."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    is_whole = float(value).is_integer() and abs(value) < 1e15
    return f"{value:.0f}" if is_whole else wording.two(value)


def percent(value: float) -> str:
    """A share: 12 %, 0.3 %."""
    digits = 1 if 0 < abs(value) < 0.0995 else 0
    return "" if pd.isna(value) else f"{100 * value:.{digits}f} %"


def ratio(value: float) -> str:
    """A ratio: 2.31x."""
    return "" if pd.isna(value) else wording.times(value)


def cell(value, form: Callable = plain) -> Cell:
    """A value as a cell."""
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return Cell(form(value), float(value) if is_number and np.isfinite(value) else None)


def table(title: str, frame: pd.DataFrame, columns: dict[str, tuple | str],
          note: str = "", lens: str = "") -> Table:
    """A frame as a table; columns: name to heading, or to heading and form."""
    wanted = [(name, *((word, plain) if isinstance(word, str) else word))
              for name, word in columns.items()]
    return Table(title, note, [word for _, word, _ in wanted],
                 [[cell(row[name], form) for name, _, form in wanted]
                  for row in frame.to_dict("records")], lens)


# ---- derived tables ----------------------------------------------------------------------------


def ratio_cells(_: pd.DataFrame) -> list[Table]:
    """Ratios with intervals."""
    return []  # the heat maps show them


def bracketed(row) -> str:
    """A number with its interval."""
    between = f" [{plain(row.low)}, {plain(row.high)}]" if np.isfinite(row.low) else ""
    return plain(row.measured) + between


def claims(frame: pd.DataFrame) -> list[Table]:
    """What the article says, what the clock says."""
    frame = frame.assign(between=[bracketed(row) for row in frame.itertuples()])
    of_all = frame.hid_size.isna()
    names = {"statement": "the article", "lens": "lens", "verdict": "verdict",
             "measure": "measured by", "claimed": "claimed", "between": "measured", "why": "why"}
    title = claims.__doc__.rstrip(".")
    return [table(title, frame[of_all], names,
                  "Median over the HidSizes, in brackets the least and the most."),
            table(f"{title}, at each HidSize", frame[~of_all], {
                "claim": "claim", "measure": "measured by", "hid_size": "HidSize",
                "claimed": "claimed", "between": "measured", "verdict": "verdict"},
                "In brackets the 95 % interval.")]


LENS_NOTES = {
    ratios.LAYER: "One layer against one Transformer block.",
    ratios.PARAMETER: "As many layers as have the parameters of the Transformer block.",
    ratios.MIXER: "A layer in the place of causal attention."}


def crossovers(frame: pd.DataFrame) -> list[Table]:
    """Where a layer takes less time than what it is set against."""
    rows = list(frame.itertuples())
    frame = frame.assign(where=[wording.with_interval(row) for row in rows],
                         counted=[wording.faster_by_counts(row) for row in rows])
    return [table(crossovers.__doc__.rstrip("."), frame[frame.lens == lens], {
        "layer": "layer", "engines": "engines", **size_columns(frame), "where": "measured",
        "counted": "by operation counts", "operation_price": ("time of an operation", ratio),
        "ratio_at_min_seq_len": ("ratio at smallest S", ratio),
        "ratio_at_max_seq_len": ("at largest S", ratio)},
        f"{note} In brackets the 95 % interval of the last crossing. The time of an operation is "
        "that of the layer over that of what it is set against.", lens)
        for lens, note in LENS_NOTES.items() if (frame.lens == lens).any()]


def fits(frame: pd.DataFrame) -> list[Table]:
    """How the time grows."""
    terms = {"sh2_ns": "a", "s2h_ns": "b", "sh_ns": "c", "s_ns": "d", "const_ns": "e"}
    for name in terms:
        frame[f"{name}_text"] = [
            plain(value) + (f" [{plain(low)}, {plain(high)}]" if np.isfinite(low) else "")
            for value, low, high in zip(frame[name], frame[f"{name}_low"], frame[f"{name}_high"])]
    return [table("How the time grows", frame, {
        "kernel": "kernel", "regime": "regime", "cells": "cells", "min_hid_size": "from HidSize",
        "max_hid_size": "to", **{f"{name}_text": word for name, word in terms.items()},
        "exponent_s": "exponent of S", "exponent_h": "of H",
        "residual_median": ("median error", percent), "residual_max": ("largest", percent),
        "growth": "growth"},
        "Time = a S H² + b S² H + c S H + d S + e in ns, per cache regime of the working set, "
        "95 % intervals in brackets.")]


def predictions(frame: pd.DataFrame) -> list[Table]:
    """How near the prediction comes, one row per kernel."""
    known = frame[frame.error.notna() & (frame.kind == "layer")]
    rows = [{"kernel": kernel, "engine": engine, "cells": len(group),
             "median": group.error.median(), "size": group.error.abs().median(),
             "most": group.error.abs().quantile(0.9),
             "worst": group.error[group.error.abs().idxmax()]}
            for (kernel, engine), group in known.groupby(["kernel", "engine"])]
    return [table("Prediction from the roofs alone", pd.DataFrame(rows), {
        "kernel": "kernel", "engine": "engine", "cells": "cells",
        "median": ("median error", percent), "size": ("median size", percent),
        "most": ("nine in ten within", percent), "worst": ("worst", percent)},
        "Error: predicted time over measured time, less 1. Below 0 the kernel takes longer than "
        "predicted.")]


def what_ifs(frame: pd.DataFrame) -> list[Table]:
    """Where a layer takes less time if one roof were another."""
    frame = frame.assign(where=[wording.faster_where(row) for row in frame.itertuples()])
    changes = list(dict.fromkeys(frame.change))
    sizes = size_columns(frame)
    wide = frame.pivot(index=["layer", *sizes], columns="change", values="where")
    return [table("What if the machine had another roof?", wide.fillna("").reset_index(), {
        "layer": "layer", **sizes, **{change: change for change in changes}},
        "The SeqLens at which the layer takes less time than the Transformer block.")]


DERIVED: dict[str, Callable[[pd.DataFrame], list[Table]]] = {
    "ratios.csv": ratio_cells, "claims.csv": claims, "crossover.csv": crossovers, "fit.csv": fits,
    "predict.csv": predictions, "whatif.csv": what_ifs}


def load(run: Run, name: str) -> tuple[pd.DataFrame, str]:
    """A derived table; one without columns, and what makes it, where it is absent or too old."""
    why = f"This run has no {name}"
    if (run.folder / name).exists():
        try:
            return runs.load_derived(run.folder, name), ""
        except runs.RunError as error:
            why = str(error)
    return pd.DataFrame(), f"{why}: `make csv RUN={run.folder}` makes it."


def derived(run: Run) -> list[Table]:
    """The derived tables; of those that are not there, what makes them."""
    found = []
    for name, make in DERIVED.items():
        title = make.__doc__.rstrip(".")
        frame, why = load(run, name)
        if frame.empty:
            why = why or f"{name} has no rows: what it needs was not timed."
            found.append(Table(title, why, [], []))
        else:
            found += make(frame)
    return found


# ---- evidence ----------------------------------------------------------------------------------


def flag_rules(readme: Path) -> dict[str, str]:
    """The rules for flags, from the data dictionary."""
    lines = runs.read_text(readme).splitlines()
    rules = {}
    for line in lines[lines.index("| flag | rule |") + 2:]:
        if not line.startswith("|"):
            break
        flag, rule = (part.strip() for part in line.split("|")[1:3])
        rules[flag] = rule.replace("`", "")
    return rules


def disturbed(run: Run) -> Table:
    """How many samples each rule found disturbed."""
    title, path = "Disturbed samples by rule", run.folder / "samples.csv"
    if not path.exists():
        return Table(title, "The samples of this run were not kept: its disturbed samples are not "
                     "known by rule.", [], [])
    samples = runs.read_samples(path, ["status", "flags"])
    rules = flag_rules(runs.README)
    counts = dict.fromkeys(rules, 0)
    for flags in samples["flags"]:
        for flag in filter(None, flags.split("+")):
            counts[flag] = counts.get(flag, 0) + 1
    frame = pd.DataFrame([{"flag": flag, "rule": rules.get(flag, ""), "count": count,
                           "share": count / len(samples)} for flag, count in counts.items()])
    flagged, failed = (samples["flags"] != "").sum(), (samples.status != "ok").sum()
    return table(title, frame, {"flag": "flag", "rule": "disturbed when", "count": "samples",
                                "share": ("share", percent)},
                 f"{len(samples)} samples; {flagged} were disturbed and are left out of every "
                 f"median ({percent(flagged / len(samples))}), {failed} failed. A sample can break "
                 "several rules.")


def half_widths(summary: pd.DataFrame) -> pd.Series:
    """Half the 95 % interval over the median, of cases with more than one round."""
    width = (summary.ci_high_ns - summary.ci_low_ns) / 2 / summary.median_ns
    return width.where(summary.rounds > 1)


def widths(run: Run) -> Table:
    """How well the medians are known."""
    known = half_widths(run.summary).dropna()
    counts = np.histogram(known, WIDTHS)[0]
    frame = pd.DataFrame({"up_to": [f"up to {100 * end:g} %" if np.isfinite(end)
                                    else f"above {100 * WIDTHS[-2]:g} %" for end in WIDTHS[1:]],
                          "count": counts, "share": counts / max(len(known), 1)})
    return table("How well the medians are known", frame, {
        "up_to": "half width of the interval", "count": "cases", "share": ("share", percent)},
        "Half the 95 % interval over the median, of the cases with more than one round.")


def unstable(run: Run) -> Table:
    """Cases that are not known as well as asked for."""
    until = hosts.value(run.host, "run", "until") or runs.UNTIL
    frame = run.summary.assign(width=half_widths(run.summary))
    rows = frame[frame.stability != "stable"].sort_values("width", ascending=False)
    return table("Unstable cases", rows, {
        "kernel": "kernel", "engine": "engine", "seq_len": "SeqLen", **size_columns(frame),
        "median_ns": ("median", wording.duration), "width": ("half width", percent),
        "rounds": "rounds", "samples": "samples", "disturbed": "disturbed"},
        f"{len(rows)} of {len(frame)} cases: fewer than two rounds, or half the interval is more "
        f"than {percent(until)} of the median.")


def kernels(run: Run) -> Table:
    """The kernels that were timed."""
    timed = run.kernels.merge(run.summary[["kernel", "engine"]].drop_duplicates())
    return table("Kernels", timed, {
        "kernel": "kernel", "engine": "engine", "tokens": "tokens", "equation": "equation",
        "method": "what this algorithm does"})


def machine(run: Run) -> Table:
    """host.json for a reader."""
    rows = []
    for group, values in run.host.items():
        for key, value in (values.items() if isinstance(values, dict) else [("", values)]):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append({"group": group, "key": key, "value": text})
    return table("The machine, the build and the options of the run", pd.DataFrame(rows), {
        "group": "of", "key": "what", "value": "value"})


def evidence(run: Run) -> list[Table]:
    """What tells how far the run can be trusted."""
    return [make(run) for make in (disturbed, widths, unstable, kernels, machine)]


# ---- runs side by side -------------------------------------------------------------------------


def across(title: str, cells: list[dict], first: list[str], note: str, lens: str = "") -> Table:
    """One row per key of any run, one column per run."""
    keys = list(dict.fromkeys(key for found in cells for key in found))
    names = [f"run {i}" for i in range(1, len(cells) + 1)]
    rows = [[*(cell(part) for part in key), *(cell(found.get(key, "")) for found in cells)]
            for key in keys]
    return Table(title, note, [*first, *names], rows, lens)


def roofs_of(everything: list[Run]) -> Table:
    """The roofs of each run."""
    cells = [{(name,): value for name, value in
              machines.roof_cells(rates.roofs_of(run.summary, run.host))} for run in everything]
    return across("Roofs", cells, ["roof"], "What moves a crossover is how far sgemm is ahead of "
                  "sgemv with the recurrent matrix where it lies.")


def crossovers_of(everything: list[Run], engine: str, lens: str) -> Table:
    """Where a layer takes less time than what it is set against, in each run."""
    tables = []
    for run in everything:
        found, why = load(run, "crossover.csv")
        tables.append(found if why else
                      ratios.through(found, lens, run.with_engine(engine).engine))
    sizes = size_columns(*tables)
    cells = [{(row.layer, *(getattr(row, name) for name in sizes), wording.faster_by_counts(row)):
              wording.faster_where(row) for row in found.itertuples()} for found in tables]
    return across("Where a layer takes less time than what it is set against", cells,
                  ["layer", *sizes.values(), "by operation counts"],
                  f"{LENS_NOTES[lens]} Empty: not timed there, or no crossover.csv.", lens)


def best_times(everything: list[Run], engine: str) -> pd.DataFrame:
    """The fastest variant of each layer in each cell, one row per run."""
    by = ["layer", "tokens"]
    best = [ratios.fastest(ratios.of_engine(run.summary, engine), by).assign(run=i)
            for i, run in enumerate(everything)]
    return pd.concat(best, ignore_index=True)


def wins(everything: list[Run], engine: str) -> Table:
    """Which run is fastest where: no win where its interval meets that of another run."""
    count = len(everything)
    rows = []
    for (layer, tokens), group in best_times(everything, engine).groupby(["layer", "tokens"]):
        times, low, high = (group.set_index([*ratios.CELL, "run"])[name].unstack()
                            .reindex(columns=range(count))
                            for name in ("median_ns", "ci_low_ns", "ci_high_ns"))
        shared = times.notna().sum(axis=1) > 1
        if not shared.any():
            continue
        won = [int((shared & (high[i] < low.drop(columns=i).min(axis=1))).sum())
               for i in range(count)]
        speed = [np.exp(np.log(times[0] / times[i]).mean()) for i in range(count)]
        rows.append([cell(layer + (" (one token)" if tokens == "one" else "")),
                     cell(int(shared.sum())), *map(cell, won), cell(int(shared.sum()) - sum(won)),
                     *(cell(value, ratio) for value in speed)])
    names = [f"run {i + 1}" for i in range(count)]
    return Table("Which run is fastest", "Cells in which a run's interval is below those of all "
                 "others that timed it. Speed: geometric mean of the time of run 1 over that of "
                 "the run, in the cells of both.",
                 ["layer", "cells of two runs or more", *(f"{name} wins" for name in names),
                  "intervals meet", *(f"speed of {name}" for name in names)], rows)
