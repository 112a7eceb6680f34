"""Load and check a run folder, and derive its statistics: all that the other scripts share."""
from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

README = Path(__file__).resolve().parent.parent / "results" / "README.md"
REFERENCE = "transformer"  # the layer that every other layer is compared with
CASE = ["kernel", "kind", "layer", "variant", "cache", "seq_len", "hid_size", "heads"]
COSTS = ["flops", "elementwise_flops", "transcendentals", "bytes", "streamed_bytes"]
KNOWN_COSTS = ["flops", "bytes"]  # of every case; the others may be unknown of foreign kernels
KERNEL_TRAITS = ["engine", "tokens"]  # of kernels.csv, what the scripts use
HEADLINE = "openblas"  # the engine of the comparison; others are further curves
NEEDED_OF_SAMPLES = CASE + ["round", "sample", "iterations", "wall_ns", "flags", *COSTS, "status"]
RESAMPLES = 2000
UNTIL = 0.02  # wanted half width of an interval over its median, where host.json does not say
SEED = 20240229
DIGITS = 7  # significant digits of a derived number in a file

PATTERNS = {
    "text": re.compile(r".+", re.DOTALL),
    "count": re.compile(r"[0-9]{1,18}|unavailable"),
    "integer": re.compile(r"-?[0-9]{1,18}"),
    "number": re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"),
    "time": re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9](:[0-5][0-9]){2}\.[0-9]{3}Z"),
}
MAY_BE_EMPTY = ", may be empty"


class RunError(Exception):
    """What is wrong with a file, as `path: what`, for a person to read."""


def exit_status(script: str, work: Callable[[], None]) -> int:
    """Run the work of a script; print what is wrong with its input, if anything."""
    try:
        work()
    except RunError as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


# ---- files -------------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """The text of a file."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: not UTF-8 text: byte {error.start}") from error


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is seen either whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot write: {error.strerror}") from error


def schemas(readme: Path) -> dict[str, dict[str, str]]:
    """Column types of every CSV file, from the tables of the data dictionary."""
    tables: dict[str, dict[str, str]] = {}
    name = None
    for number, line in enumerate(read_text(readme).splitlines(), start=1):
        if line.startswith("#"):
            heading = re.fullmatch(r"#+ `?(\w+\.csv)`?", line)
            name = heading[1] if heading else None
        elif name and re.match(r"\| *`", line):
            column, kind = (cell.strip().strip("`") for cell in line.split("|")[1:3])
            if kind.removesuffix(MAY_BE_EMPTY) not in PATTERNS:
                raise RunError(f"{readme}: line {number}: {column}: unknown type '{kind}'")
            tables.setdefault(name, {})[column] = kind
    return tables


def schema(readme: Path, name: str) -> dict[str, str]:
    """Column types of one CSV file."""
    try:
        return schemas(readme)[name]
    except KeyError:
        raise RunError(f"{readme}: no table for {name}") from None


def read_rows(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Header, line numbers and fields of a CSV file whose rows all have the header's length."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    lines, rows = [], []
    try:
        header = next(reader, None)
        if not header:
            raise RunError(f"{path}: empty")
        for row in reader:
            if len(row) != len(header):
                raise RunError(f"{path}: line {reader.line_num}: {len(row)} fields, "
                               f"the header has {len(header)}")
            lines.append(reader.line_num)
            rows.append(row)
    except csv.Error as error:
        raise RunError(f"{path}: line {reader.line_num}: {error}") from error
    return header, lines, rows


def typed(path: Path, column: str, kind: str, lines: list[int], values: Iterable[str]) -> pd.Series:
    """One column as numbers or text; an empty number is NaN."""
    base = kind.removesuffix(MAY_BE_EMPTY)
    may_be_empty = kind.endswith(MAY_BE_EMPTY)
    pattern, values = PATTERNS[base], list(values)
    for line, value in zip(lines, values):
        if not (pattern.fullmatch(value) or (may_be_empty and value == "")):
            raise RunError(f"{path}: line {line}: {column}: '{value}' is not of type {kind}")
    if base in ("text", "count", "time"):
        return pd.Series(values, index=lines, dtype=object)
    if base == "integer" and not may_be_empty:
        return pd.Series([int(value) for value in values], index=lines, dtype=np.int64)
    return pd.Series([float(value or "nan") for value in values], index=lines, dtype=float)


def read_columns(path: Path, types: dict[str, str], exact: bool = False) -> pd.DataFrame:
    """The named columns of a CSV file, indexed by line number; `exact` forbids any others."""
    header, lines, rows = read_rows(path)
    for column in types:
        if column not in header:
            raise RunError(f"{path}: column {column} is missing")
    for place, column in enumerate(header):
        if column in header[:place]:
            raise RunError(f"{path}: column {column} appears twice")
        if exact and column not in types:
            raise RunError(f"{path}: column {column} is not in the data dictionary")
    if exact and header != list(types):
        raise RunError(f"{path}: columns are not in the order of the data dictionary")
    by_column = dict(zip(header, zip(*rows))) if rows else {}
    return pd.DataFrame({column: typed(path, column, kind, lines, by_column.get(column, ()))
                         for column, kind in types.items()})


def validate(csv_path: Path, readme_path: Path) -> None:
    """Raise RunError unless a CSV file has the columns and types of the data dictionary."""
    read_columns(csv_path, schema(readme_path, csv_path.name), exact=True)


def format_number(value: float) -> str:
    """A derived number as it stands in a file; empty when there is none."""
    if not np.isfinite(value):
        return ""
    return np.format_float_positional(value, precision=DIGITS, unique=False, fractional=False,
                                      trim="-")


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV."""
    columns = {name: frame[name].map(format_number) if frame[name].dtype == float else frame[name]
               for name in frame}
    return pd.DataFrame(columns, columns=list(frame)).to_csv(index=False, lineterminator="\n")


# ---- a run folder ------------------------------------------------------------------------------


def refuse(path: Path, bad: pd.Series, what: str) -> None:
    """Raise RunError with the line number of the first bad row."""
    if bad.any():
        raise RunError(f"{path}: line {bad.idxmax()}: {what}")


def load_samples(run_dir: Path) -> pd.DataFrame:
    """The columns of samples.csv that the scripts use, checked."""
    path = run_dir / "samples.csv"
    types = schema(README, "samples.csv")
    samples = read_columns(path, {column: types[column] for column in NEEDED_OF_SAMPLES})
    if samples.empty:
        raise RunError(f"{path}: no rows")
    is_ok = samples.status == "ok"
    for column in ("seq_len", "hid_size", "heads"):
        refuse(path, samples[column] < 1, f"{column} is less than 1")
    refuse(path, is_ok & ~(samples.iterations >= 1), "iterations is not at least 1")
    refuse(path, is_ok & ~(samples.wall_ns > 0), "wall_ns is not above 0")
    refuse(path, samples.duplicated(CASE + ["round", "sample"]), "this sample is there already")
    for column in COSTS:
        if column in KNOWN_COSTS:
            refuse(path, is_ok & samples[column].isna(), f"{column} is empty")
        first = samples.groupby(CASE)[column].transform("first")
        refuse(path, is_ok & (samples[column].fillna(-1) != first.fillna(-1)),
               f"{column} differs from another row of this case")
    return samples


def load_kernels(run_dir: Path) -> pd.DataFrame:
    """kernels.csv by kernel."""
    path = run_dir / "kernels.csv"
    kernels = read_columns(path, schema(README, "kernels.csv"))
    refuse(path, kernels.kernel.duplicated(), "this kernel is there already")
    refuse(path, ~kernels.tokens.isin(["all", "one"]), "tokens is neither all nor one")
    return kernels.set_index("kernel")


def traits_of(path: Path, samples: pd.DataFrame, kernels: pd.DataFrame) -> pd.DataFrame:
    """The samples with the engine and the tokens of their kernel."""
    unknown = samples[~samples.kernel.isin(kernels.index)]
    if len(unknown):
        raise RunError(f"{path}: kernel {unknown.kernel.iloc[0]} is missing")
    return samples.join(kernels[KERNEL_TRAITS], on="kernel")


def load_derived(run_dir: Path, name: str) -> pd.DataFrame:
    """A table that summarise.py wrote."""
    path = run_dir / name
    if not path.exists():
        raise RunError(f"{path}: No such file: run scripts/summarise.py first")
    return read_columns(path, schema(README, name)).reset_index(drop=True)


def load_summary(run_dir: Path) -> pd.DataFrame:
    """summary.csv, without the cases that have no good sample."""
    summary = load_derived(run_dir, "summary.csv")
    summary = summary[summary.samples > 0].reset_index(drop=True)
    if summary.empty:
        raise RunError(f"{run_dir / 'summary.csv'}: no case with a good sample")
    return summary


def load_host(run_dir: Path) -> dict:
    """host.json."""
    path = run_dir / "host.json"
    try:
        host = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise RunError(f"{path}: line {error.lineno}: {error.msg}") from error
    if not isinstance(host, dict):
        raise RunError(f"{path}: not an object")
    return host


def host_value(host: dict, group: str, key: str):
    """One value of host.json; None when it is not there."""
    values = host.get(group)
    return values.get(key) if isinstance(values, dict) else None


def bytes_text(count: float) -> str:
    """A size for a reader: 48 KiB, 1.5 MiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"


def machine_name(host: dict) -> str:
    """The CPU's name; with family and model where it has no number of its own."""
    name = str(host_value(host, "cpu", "model") or "unknown CPU").strip()
    family, model = (host_value(host, "cpu", key) for key in ("family", "model_number"))
    if family and model and not re.search(r"\d", name):
        name += f" (family {family}, model {model})"
    return name


def setup_name(host: dict) -> str:
    """The CPU, and what the code and the products were built for."""
    march = re.search(r"-march=(\S+)", str(host_value(host, "build", "flags")))
    core = host_value(host, "libraries", "openblas_corename") or "unknown"
    return f"{machine_name(host)}, march {march[1] if march else 'unknown'}, OpenBLAS {core}"


# ---- statistics of a case ----------------------------------------------------------------------


def resampled_medians(rounds: list[np.ndarray], seed: int | list[int] = SEED) -> np.ndarray:
    """Bootstrap medians: rounds are drawn, then samples in them."""
    counts = np.array([len(times) for times in rounds])
    table = np.full((len(rounds), counts.max()), np.nan)
    for row, times in zip(table, rounds):
        row[:len(times)] = times
    random = np.random.default_rng(seed)
    drawn_round = random.integers(len(rounds), size=(RESAMPLES, len(rounds)))
    drawn_count = counts[drawn_round][:, :, None]
    place = random.random((RESAMPLES, *table.shape)) * drawn_count
    drawn = table[drawn_round[:, :, None], place.astype(int)]
    drawn[np.broadcast_to(np.arange(counts.max()) >= drawn_count, drawn.shape)] = np.nan
    drawn = np.sort(drawn.reshape(RESAMPLES, -1), axis=1)  # NaN last
    total = drawn_count.sum(axis=(1, 2))
    every = np.arange(RESAMPLES)
    return (drawn[every, (total - 1) // 2] + drawn[every, total // 2]) / 2


def median_interval(rounds: list[np.ndarray]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the median."""
    low, high = np.percentile(resampled_medians(rounds), [2.5, 97.5])
    return low, high


def time_statistics(rounds: list[np.ndarray]) -> dict[str, float]:
    """Median, minimum, MAD and interval of times that are grouped by round."""
    if not rounds:
        return dict.fromkeys(("median_ns", "min_ns", "mad_ns", "ci_low_ns", "ci_high_ns"), np.nan)
    times = np.concatenate(rounds)
    median = np.median(times)
    low, high = median_interval(rounds)
    return {"median_ns": median, "min_ns": times.min(), "mad_ns": np.median(abs(times - median)),
            "ci_low_ns": low, "ci_high_ns": high}


def stability(statistics: dict[str, float], rounds: int, until: float) -> str:
    """Whether the interval of a median is as narrow as the run was asked for."""
    half_width = (statistics["ci_high_ns"] - statistics["ci_low_ns"]) / 2
    is_known = rounds > 1 and half_width <= until * statistics["median_ns"]
    return "stable" if is_known else "unstable"


def clean(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples that count: neither failed nor disturbed."""
    return samples[(samples.status == "ok") & (samples["flags"] == "")]


def times_by_round(good: pd.DataFrame) -> list[np.ndarray]:
    """Time of one iteration of each of the samples that count, grouped by round."""
    times = good.wall_ns.to_numpy() / good.iterations.to_numpy()
    places = good["round"].to_numpy()
    return [times[places == place] for place in np.unique(places)]


def summarise_case(case: tuple, rows: pd.DataFrame, until: float) -> dict:
    """One row of summary.csv."""
    row = dict(zip(CASE + KERNEL_TRAITS, case))
    good = clean(rows)
    rounds = times_by_round(good)
    statistics = time_statistics(rounds)
    median = statistics["median_ns"]
    costs = dict.fromkeys(COSTS, np.nan) | (good[COSTS].iloc[0].to_dict() if len(good) else {})
    tokens = 1 if row["tokens"] == "one" else row["seq_len"]
    failed = int((rows.status != "ok").sum())
    return row | {"samples": len(good), "rounds": len(rounds), "failed": failed,
                  "disturbed": len(rows) - len(good) - failed,
                  "stability": stability(statistics, len(rounds), until), **statistics,
                  "us_per_token": median / tokens / 1000, **costs,
                  "gflops": costs["flops"] / median, "gbytes_per_s": costs["bytes"] / median}


def summarise(samples: pd.DataFrame, until: float = UNTIL) -> pd.DataFrame:
    """summary.csv: one row per case, ordered by kind, kernel and size."""
    ordered = samples.sort_values(["round", "sample"], kind="stable")
    rows = [summarise_case(case, group, until)
            for case, group in ordered.groupby(CASE + KERNEL_TRAITS)]
    order = ["kind", "kernel", "cache", "seq_len", "hid_size", "heads"]
    summary = pd.DataFrame(rows).sort_values(order, kind="stable").reset_index(drop=True)
    return summary.astype(dict.fromkeys(COSTS, "Int64"))


# ---- parts of a layer --------------------------------------------------------------------------


def part_times(summary: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Time of a layer's parts in a whole sequence, per cell: one column per part.

    A part that was timed with SeqLen 1 only is of one step and counts SeqLen times, any other once.
    Cells of the layer where a part was not timed are left out.
    """
    cell = ["seq_len", "hid_size", "heads"]
    of_layer = summary[(summary.layer == layer) & (summary.samples > 0)]
    table = of_layer.loc[of_layer.kind == "layer", cell].drop_duplicates().set_index(cell)
    for variant, rows in of_layer[of_layer.kind == "part"].groupby("variant"):
        is_step = (rows.seq_len == 1).all()
        times = rows.set_index(cell).median_ns
        table[variant] = [
            times.get((1 if is_step else seq_len, hid_size, heads),
                      times.get((1 if is_step else seq_len, hid_size, 1), np.nan))
            * (seq_len if is_step else 1)
            for seq_len, hid_size, heads in table.index]
    return table.dropna().sort_index()
