"""Write one self-contained HTML report of one or several run folders."""
from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import crossover, medians, rates
from seqbench.words import answer, machines, wording

PAGE = Path(__file__).resolve().parent
SCRIPTS = ["draw.js", "figures.js", "page.js"]
DIGITS = 4  # significant digits of a number in the page; the CSV files hold more
MOST_BYTES = 5_000_000
CELL = ["seq_len", "hid_size", "heads"]
CASE_COLUMNS = {"s": "seq_len", "h": "hid_size", "a": "heads", "ns": "median_ns",
                "lo": "ci_low_ns", "hi": "ci_high_ns", "token": "us_per_token", "gflops": "gflops",
                "gbytes": "gbytes_per_s", "bytes": "bytes", "samples": "samples",
                "rounds": "rounds", "disturbed": "disturbed", "failed": "failed"}
ROOFLINE_COLUMNS = {"s": "seq_len", "h": "hid_size", "a": "heads", "cache": "cache",
                    "set": "working_set_bytes", "gemm": "gemm_ns", "stream": "stream_ns",
                    "transcendental": "transcendental_ns", "elementwise": "elementwise_ns",
                    "bound": "bound_ns", "share": "share"}
RATIO_COLUMNS = {"layer": "layer", "h": "hid_size", "a": "heads", "s": "seq_len", "ratio": "ratio",
                 "kernel": "kernel", "reference": "kernel_reference"}
WHOLE_TABLES = ["crossover.csv", "claims.csv", "fit.csv", "whatif.csv"]
# The variants whose pieces the parts are; a layer with neither: the fastest that was timed.
CUT_INTO_PARTS = ["full", "literal"]
MAKES_THEM = "make csv RUN={}"


# ---- values of the page ------------------------------------------------------------------------


def rounded(value):
    """A value as JSON takes it: no NaN, four digits of a fraction, no point in a whole number."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            return None
        short = float(f"{value:.{DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    return None if value is pd.NA else value


def column(values: Iterable) -> list | dict:
    """The values of a column; text that repeats as words and places."""
    found = [rounded(value) for value in values]
    if not any(isinstance(value, str) for value in found):
        return found
    words = sorted(set(found))
    place = {word: i for i, word in enumerate(words)}
    return {"words": words, "at": [place[value] for value in found]}


def columns(table: pd.DataFrame, names: dict[str, str]) -> dict[str, list | dict]:
    """Columns of a table under short names."""
    return {short: column(table[name]) for short, name in names.items()}


def whole_columns(table: pd.DataFrame) -> dict[str, list | dict]:
    """All columns of a table under their own names."""
    return columns(table, {name: name for name in table.columns})


def embedded(data: object) -> str:
    """JSON that may stand in a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


# ---- one run -----------------------------------------------------------------------------------


def flag_rules(readme: Path) -> dict[str, str]:
    """The rules for flags, from the data dictionary."""
    lines = runs.read_text(readme).splitlines()
    first = lines.index("| flag | rule |") + 2
    rules = {}
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        flag, rule = (cell.strip() for cell in line.split("|")[1:3])
        rules[flag] = rule.replace("`", "")
    return rules


def flag_counts(run_dir: Path) -> dict | None:
    """How many samples each rule found disturbed; None when the samples were not kept."""
    path = run_dir / "samples.csv"
    if not path.exists():
        return None
    samples = runs.read_columns(path, {"status": "text", "flags": "text, may be empty"})
    rules = flag_rules(runs.README)
    counts = dict.fromkeys(rules, 0)
    for flags in samples["flags"]:
        for flag in filter(None, flags.split("+")):
            counts[flag] = counts.get(flag, 0) + 1
    return {"samples": len(samples), "failed": int((samples.status != "ok").sum()),
            "disturbed": int((samples["flags"] != "").sum()),
            "flags": [[flag, rules.get(flag, ""), count] for flag, count in counts.items()]}


def kernels_of(run_dir: Path, names: Iterable[str]) -> pd.DataFrame:
    """What is known of the kernels that were timed, in the order of kernels.csv."""
    path = run_dir / "kernels.csv"
    table = runs.read_columns(path, runs.schema(runs.README, "kernels.csv"))
    table = table[table.kernel.isin(set(names))].reset_index(drop=True)
    return table[["kernel", "kind", "layer", "variant", "engine", "tokens", "equation", "method"]]


def parts_of(summary: pd.DataFrame, kernels: pd.DataFrame) -> dict[str, dict]:
    """Per layer its parts' times in a whole sequence, and the time of what they are cut from."""
    found = {}
    order = list(kernels.variant[kernels.kind == "part"])
    for layer in summary[summary.kind == "part"].layer.unique():
        table = medians.part_times(summary, layer)
        if table.empty:
            continue
        table = table[sorted(table.columns, key=order.index)]
        whole = summary[(summary.kind == "layer") & (summary.layer == layer)]
        cut = whole[whole.variant.isin(CUT_INTO_PARTS)]
        times = (whole if cut.empty else cut).groupby(CELL).median_ns.min()
        found[layer] = {"names": [str(name) for name in table.columns],
                        "rows": [[*map(int, cell), rounded(times.get(cell, np.nan)),
                                  *map(rounded, parts)]
                                 for cell, parts in zip(table.index, table.to_numpy())]}
    return found


def ratios_of(summary: pd.DataFrame) -> dict[str, dict]:
    """Time of the reference over that of each layer, per class of engines."""
    return {engine: columns(crossover.relative(summary, engine), RATIO_COLUMNS)
            for engine in crossover.engine_classes(summary)}


def errors_of(predicted: pd.DataFrame) -> pd.DataFrame:
    """How near the prediction comes, one row per kernel."""
    rows = []
    known = predicted[predicted.error.notna() & (predicted.kind == "layer")]
    for kernel, group in known.groupby("kernel"):
        size = group.error.abs()
        rows.append({"kernel": kernel, "cells": len(group), "median error": group.error.median(),
                     "median size": size.median(), "nine in ten within": size.quantile(0.9),
                     "worst": group.error[size.idxmax()]})
    return pd.DataFrame(rows, columns=["kernel", "cells", "median error", "median size",
                                       "nine in ten within", "worst"])


def tables_of(run_dir: Path) -> tuple[dict[str, dict], list[str]]:
    """The derived tables that are there, and the names of those that are not."""
    found, missing = {}, []
    for name in [*WHOLE_TABLES, "predict.csv", "roofline.csv"]:
        if not (run_dir / name).exists():
            missing.append(name)
            continue
        table = runs.load_derived(run_dir, name)
        if name == "predict.csv":
            table = errors_of(table)
        if name == "roofline.csv":
            short = {"kernel": "kernel", **ROOFLINE_COLUMNS}
            found[name] = columns(table[table.kind == "layer"], short)
        else:
            found[name] = whole_columns(table)
    return found, missing


def label_of(run_dir: Path, host: dict) -> str:
    """Folder, CPU and what the code was built for."""
    return f"{'/'.join(run_dir.resolve().parts[-2:])}: {hosts.setup_name(host)}"


def headline(ratios: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """The answer in two sentences."""
    best = crossover.fastest(crossover.of_engine(crossover.whole_sequences(summary),
                                                 runs.HEADLINE), ["tokens"])
    if ratios.empty or best.empty:
        return [f"No layer was timed beside the layer {runs.REFERENCE}."]
    cells = best.loc[best.groupby(["seq_len", "hid_size"]).median_ns.idxmin()]
    counts = cells.layer.value_counts()
    first = ", ".join(f"{layer} in {count} of {len(cells)} cells"
                      for layer, count in sorted(counts.items(), key=lambda x: (-x[1], x[0])))
    wins = [(int((group.ratio > 1).sum()), len(group), layer)
            for layer, group in ratios.groupby("layer")]
    words = wording.listing([f"{layer} in {won} of {total}"
                            for won, total, layer in sorted(wins, key=lambda x: (-x[0], x[2]))])
    return [f"Fastest over whole sequences: {first}.",
            f"Less time than the Transformer block takes: {words} cells."]


def host_rows(host: dict) -> list[list[str]]:
    """host.json as rows for a reader: group, key, value."""
    rows = []
    for group, values in host.items():
        for key, value in (values.items() if isinstance(values, dict) else [("", values)]):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append([group, key, text])
    return rows


def caches_of(host: dict) -> list[list[int]]:
    """Level and bytes of each data cache."""
    caches = hosts.value(host, "cpu", "caches")
    caches = caches if isinstance(caches, list) else []
    return [[cache["level"], cache["bytes"]] for cache in caches]


def run_data(run_dir: Path) -> dict:
    """All that the page shows of one run."""
    summary, host = runs.load_summary(run_dir), hosts.load(run_dir)
    kernels = kernels_of(run_dir, summary.kernel)
    place = {name: i for i, name in enumerate(kernels.kernel)}
    cells = crossover.relative(summary)
    cells["textbook"] = 1 + cells.seq_len / cells.hid_size
    tables, missing = tables_of(run_dir)
    cases = columns(summary, CASE_COLUMNS)
    cases["k"] = [place[name] for name in summary.kernel]
    cases["stable"] = [int(word == "stable") for word in summary.stability]
    return {"label": label_of(run_dir, host), "folder": run_dir.resolve().name,
            "make": MAKES_THEM.format(run_dir), "missing": missing,
            "answer": [*headline(cells, summary), *answer.sentences(summary, cells, host),
                       *answer.roof_sentences(run_dir, summary)],
            "kernels": kernels.to_numpy().tolist(), "cases": cases, "ratios": ratios_of(summary),
            "parts": parts_of(summary, kernels), "tables": tables, "noise": flag_counts(run_dir),
            "until": hosts.value(host, "run", "until") or runs.UNTIL,
            "host": host_rows(host), "caches": caches_of(host),
            "roofs_of": [[name, rounded(value)] for name, value in
                         machines.roof_cells(rates.roofs_of(summary, host))]}


# ---- the page ----------------------------------------------------------------------------------


def layer_order(data: list[dict]) -> list[str]:
    """All layers, the reference first, the others as kernels.csv has them: this fixes colours."""
    names = dict.fromkeys([runs.REFERENCE])
    for run in data:
        names.update(dict.fromkeys(kernel[2] for kernel in run["kernels"] if kernel[1] == "layer"))
    return list(names)


def first_words(run: dict) -> str:
    """The answer of a run as markup, for readers without scripts too."""
    first, *others = [html.escape(line) for line in run["answer"]]
    return "\n".join([f'<p class="headline">{first}</p>', *(f"<p>{line}</p>" for line in others)])


def page(data: list[dict]) -> str:
    """The whole page."""
    source = {"runs": data, "layers": layer_order(data), "reference": runs.REFERENCE,
              "headline": runs.HEADLINE}
    pieces = {
        "STYLE": runs.read_text(PAGE / "style.css"),
        "ANSWER": first_words(data[0]),
        "DATA": embedded(source),
        "SCRIPT": "\n".join(runs.read_text(PAGE / name) for name in SCRIPTS),
    }
    template = runs.read_text(PAGE / "page.html")
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: pieces[match[1]], template)


def report(run_dirs: list[Path], out: Path | None) -> None:
    """Write the report: by default into the one run, or beside the run folders."""
    if out is None:
        folder = run_dirs[0] if len(run_dirs) == 1 else runs.README.parent
        out = folder / "report.html"
    text = page([run_data(run_dir) for run_dir in run_dirs])
    size = len(text.encode("utf-8"))
    if size > MOST_BYTES:
        raise runs.RunError(f"{out}: would have {size} bytes, more than {MOST_BYTES}: "
                            f"report fewer runs at once")
    runs.write_text(out, text)
    print(f"{out}: {len(run_dirs)} run{'s' if len(run_dirs) > 1 else ''}, {size / 1e6:.2f} MB")
