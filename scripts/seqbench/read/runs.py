"""Read and check the files of a run folder, and write derived ones."""
from __future__ import annotations

import csv
import functools
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import dimensions, earlier

README = Path(__file__).resolve().parents[3] / "results" / "README.md"
REFERENCE = "transformer"  # the layer that every other layer is compared with
HEADLINE = "openblas"  # the engine of the comparison; others are further curves
PEERS = {"onednn": "oneDNN", "eigen": "Eigen", "torch": "PyTorch",
         "onnxruntime": "ONNX Runtime", "ggml": "ggml"}  # libraries of whole layers, by their engines, and their names
NARROW = r"-(bf16|int8|sparse\d+)$"  # so end the names of engines that keep other weights
EVALUATIONS = earlier.EVALUATIONS
COSTS = ["flops", "elementwise_flops", *EVALUATIONS, "parameters", "bytes", "streamed_bytes"]
KNOWN_COSTS = ["flops", "bytes"]  # of every case; the others may be unknown of foreign kernels
KERNEL = ["kernel", "engine"]  # what a row of kernels.csv is of
# Of kernels.csv, beside summary.csv.
FACTS = ["job", "products", "batches", "parts", "packing", "bytes_per_weight", "roof"]
ONE_TOKEN = ["decode", "modern_decode"]  # layers whose run makes one token against a context
LONGEST_NS = 1e16  # a third of a year: no sample takes so long
UNTIL = 0.02  # wanted half width of an interval over its median, where host.json does not say
SEED = 20240229
DIGITS = 7  # significant digits of a derived number in a file

PATTERNS = {
    "text": re.compile(r".+", re.DOTALL),
    "count": re.compile(r"[0-9]{1,18}|unavailable"),
    "dimension": re.compile(r"[1-9][0-9]{0,17}"),
    dimensions.OR_0: re.compile(r"0|[1-9][0-9]{0,17}"),  # 0: not given
    "integer": re.compile(r"-?[0-9]{1,18}"),
    "number": re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"),
    "time": re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9](:[0-5][0-9]){2}\.[0-9]{3}Z"),
}
MAY_BE_EMPTY = ", may be empty"
OTHER_SIZES = "| the other sizes |"  # the row of the data dictionary for all of dimensions.OPTIONAL


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
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: not UTF-8 text: byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise RunError(f"{path}: line 1: starts with a byte order mark: save it without one")
    return text


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is seen either whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot write: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless they are there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot make: {error.strerror}") from error


@functools.cache
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
        elif name and line.startswith(OTHER_SIZES):
            tables.setdefault(name, {}).update(dict.fromkeys(dimensions.OPTIONAL, dimensions.OR_0))
    return tables


def schema(readme: Path, name: str) -> dict[str, str]:
    """Column types of one CSV file."""
    try:
        return schemas(readme)[name]
    except KeyError:
        raise RunError(f"{readme}: no table for {name}") from None


# The dimensions of a case, and a case.
DIMENSIONS = dimensions.COLUMNS
ACROSS = [name for name in DIMENSIONS if name != "seq_len"]  # what is held while SeqLen grows
CASE = ["kernel", "kind", "layer", "variant", "engine", "cache", *DIMENSIONS]
ORDER = ["kind", "kernel", "engine", "cache", *DIMENSIONS]  # of the rows of a table of cases
NEEDED_OF_SAMPLES = [*CASE, "round", "sample", "iterations", "wall_ns", "flags", *COSTS, "status"]


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
    if base in ("integer", "dimension", dimensions.OR_0) and not may_be_empty:
        return pd.Series([int(value) for value in values], index=lines, dtype=np.int64)
    return pd.Series([float(value or "nan") for value in values], index=lines, dtype=float)


def engines_beside(path: Path) -> dict[str, str]:
    """The engine of each kernel by the files beside a file; none where they do not say."""
    beside = [path.with_name(name) for name in ("kernels.csv", "summary.csv")]
    sources = [source for source in beside if source.exists() and source != path]
    if not sources:
        return {}
    table = read_columns(sources[0], dict.fromkeys(KERNEL, "text")).drop_duplicates()
    if table.kernel.duplicated().any():
        raise RunError(f"{path}: column engine is missing")
    return dict(zip(table.kernel, table.engine))


def read_columns(path: Path, types: dict[str, str], exact: bool = False) -> pd.DataFrame:
    """The named columns of a CSV file, indexed by line number; `exact` forbids any others.

    Columns that earlier versions did not write are filled in, unless `exact`.
    """
    header, lines, rows = read_rows(path)
    missing = [column for column in types if column not in header]
    for column in missing:
        if exact or not earlier.can_fill(column, types[column], header):
            raise RunError(f"{path}: column {column} is missing")
    for place, column in enumerate(header):
        if column in header[:place]:
            raise RunError(f"{path}: column {column} appears twice")
        if exact and column not in types:
            raise RunError(f"{path}: column {column} is not in the data dictionary")
    if exact and header != list(types):
        raise RunError(f"{path}: columns are not in the order of the data dictionary")
    by_column = dict(zip(header, zip(*rows))) if rows else {}
    table = pd.DataFrame({column: typed(path, column, kind, lines, by_column.get(column, ()))
                          for column, kind in ({**earlier.SOURCES, **types} if missing
                                               else types).items() if column in header})
    if not missing:
        return table
    return earlier.filled(table, missing, lambda: engines_beside(path))[list(types)]


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


def read_samples(path: Path, columns: list[str]) -> pd.DataFrame:
    """Some columns of a samples.csv, which must have a row."""
    types = schema(README, "samples.csv")
    samples = read_columns(path, {column: types[column] for column in columns})
    if samples.empty:
        raise RunError(f"{path}: no rows")
    return samples


def load_samples(run_dir: Path) -> pd.DataFrame:
    """The columns of samples.csv that the scripts use, checked."""
    path = run_dir / "samples.csv"
    samples = read_samples(path, NEEDED_OF_SAMPLES)
    is_ok = samples.status == "ok"
    refuse(path, ~samples.status.isin(["ok", "failed"]), "status is neither ok nor failed")
    refuse(path, is_ok & ~(samples.iterations >= 1), "iterations is not at least 1")
    refuse(path, is_ok & ~(samples.wall_ns > 0), "wall_ns is not above 0")
    refuse(path, is_ok & (samples.wall_ns > LONGEST_NS), f"wall_ns is above {LONGEST_NS:g}")
    refuse(path, samples.duplicated(CASE + ["round", "sample"]), "this sample is there already")
    for column in COSTS:
        if column in KNOWN_COSTS:
            refuse(path, is_ok & samples[column].isna(), f"{column} is empty")
        refuse(path, samples[column] < 0, f"{column} is negative")
        first = samples.groupby(CASE)[column].transform("first")
        refuse(path, is_ok & (samples[column].fillna(-1) != first.fillna(-1)),
               f"{column} differs from another row of this case")
    return samples


def load_kernels(run_dir: Path) -> pd.DataFrame:
    """kernels.csv by kernel and engine."""
    path = run_dir / "kernels.csv"
    kernels = read_columns(path, schema(README, "kernels.csv"))
    refuse(path, kernels.duplicated(KERNEL), "this kernel and engine is there already")
    refuse(path, ~kernels.tokens.isin(["all", "one"]), "tokens is neither all nor one")
    return kernels.set_index(KERNEL)


def with_facts(path: Path, table: pd.DataFrame, facts: list[str]) -> pd.DataFrame:
    """The rows of a file with what the kernels.csv beside it says of their kernels."""
    kernels = load_kernels(path.parent)
    places = kernels.index.get_indexer(pd.MultiIndex.from_frame(table[KERNEL]))
    for kernel, engine in table.loc[places < 0, KERNEL].to_numpy()[:1]:
        raise RunError(f"{path}: line {table.index[places < 0][0]}: kernel {kernel} with engine "
                       f"{engine} is not in kernels.csv")
    return table.assign(**{fact: kernels[fact].to_numpy()[places] for fact in facts})


def samples_with_tokens(run_dir: Path) -> pd.DataFrame:
    """The samples of a run, with the tokens that a run of their kernel makes."""
    return with_facts(run_dir / "samples.csv", load_samples(run_dir), ["tokens"])


def read_derived(run_dir: Path, name: str) -> pd.DataFrame:
    """A table that summarise.py wrote, indexed by line number."""
    path = run_dir / name
    if not path.exists():
        raise RunError(f"{path}: No such file: run scripts/summarise.py first")
    return read_columns(path, schema(README, name))


def load_derived(run_dir: Path, name: str) -> pd.DataFrame:
    """A table that summarise.py wrote."""
    return read_derived(run_dir, name).reset_index(drop=True)


def load_cases(run_dir: Path) -> pd.DataFrame:
    """summary.csv, checked, with the facts of kernels.csv."""
    path = run_dir / "summary.csv"
    summary = read_derived(run_dir, path.name)
    refuse(path, summary.duplicated(CASE), "this case is there already")
    for column in ("median_ns", "min_ns", "ci_low_ns", "ci_high_ns"):
        is_absent = summary[column].isna() & column.startswith("ci_")  # of a run of one round
        refuse(path, (summary.samples > 0) & ~(summary[column] > 0) & ~is_absent,
               f"{column} is not above 0")
        refuse(path, summary[column] > LONGEST_NS, f"{column} is above {LONGEST_NS:g}")
    return with_facts(path, summary, FACTS).reset_index(drop=True)


def load_summary(run_dir: Path) -> pd.DataFrame:
    """The cases of summary.csv that have a good sample, with the facts of kernels.csv."""
    summary = load_cases(run_dir)
    summary = summary[summary.samples > 0].reset_index(drop=True)
    if summary.empty:
        raise RunError(f"{run_dir / 'summary.csv'}: no case with a good sample")
    return summary


def least_batch(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the smallest BatchSize, and the roofs: what is told without a word of batches."""
    is_roof = table.kind == "roof" if "kind" in table else pd.Series(False, table.index)
    return table[is_roof | (table.batch == table.batch[~is_roof].min())]


def kernel_names(table: pd.DataFrame) -> pd.Series:
    """The kernel of each row, with its engine where the table has several of that kernel."""
    several = table.groupby("kernel").engine.transform("nunique") > 1
    return table.kernel + (" " + table.engine).where(several, "")


def library_of(engines: pd.Series) -> pd.Series:
    """torch of the engines torch, torch-eager and torch-int8."""
    return engines.str.split("-").str[0]


def is_peer(engines: pd.Series) -> pd.Series:
    """Whether an engine is a library of whole layers, not ours."""
    return library_of(engines).isin(list(PEERS))


def is_narrow(engines: pd.Series) -> pd.Series:
    """Whether engines round weights or leave some out."""
    return engines.str.extract(NARROW)[0].notna()


def bytes_text(count: float) -> str:
    """A size for a reader: 48 KiB, 1.5 MiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
