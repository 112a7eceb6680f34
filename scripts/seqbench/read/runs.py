"""Read and check the files of a run folder, and write derived ones."""
from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

README = Path(__file__).resolve().parents[3] / "results" / "README.md"
REFERENCE = "transformer"  # the layer that every other layer is compared with
CASE = ["kernel", "kind", "layer", "variant", "cache", "seq_len", "hid_size", "heads"]
COSTS = ["flops", "elementwise_flops", "transcendentals", "bytes", "streamed_bytes"]
KNOWN_COSTS = ["flops", "bytes"]  # of every case; the others may be unknown of foreign kernels
KERNEL_TRAITS = ["engine", "tokens"]  # of kernels.csv, what the scripts use
HEADLINE = "openblas"  # the engine of the comparison; others are further curves
NEEDED_OF_SAMPLES = CASE + ["round", "sample", "iterations", "wall_ns", "flags", *COSTS, "status"]
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


def bytes_text(count: float) -> str:
    """A size for a reader: 48 KiB, 1.5 MiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
