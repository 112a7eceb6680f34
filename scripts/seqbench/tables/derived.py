"""The registry of derived tables, and the making of them.

Each module beside this one lists in MADE what it makes. A table's columns stand in the data
dictionary. A maker may need, besides what others make, the values that `given` knows.
"""
from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import pandas as pd

import seqbench.tables
from seqbench.read import hosts, runs
from seqbench.tables import streams
from seqbench.tables.table import Made, Unknown

MODULES = [importlib.import_module(f"seqbench.tables.{module.name}")
           for module in pkgutil.iter_modules(seqbench.tables.__path__)
           if module.name != "derived"]
MADE: dict[str, Made] = {made.name: made for module in MODULES
                         for made in getattr(module, "MADE", [])}
# The tables, in the order of the data dictionary.
TABLES = [name for name in runs.schemas(runs.README) if name in MADE]


def given(run_dir: Path) -> dict:
    """What the makers of a run start from."""
    host = hosts.load(run_dir)
    return {"host": host, "until": hosts.value(host, "run", "until") or runs.UNTIL,
            "samples": runs.samples_with_tokens(run_dir)}


def write(run_dir: Path, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Write a table; the cases are read back as they stand in the file, with their facts."""
    runs.write_text(run_dir / name, runs.csv_text(table))
    return runs.load_cases(run_dir) if name == "summary.csv" else table


def made(run_dir: Path, name: str, values: dict) -> object:
    """The value of a name, made with what it needs unless it is there already."""
    if name not in values:
        needed = [made(run_dir, need, values) for need in MADE[name].needs]
        found = MADE[name].make(*needed)
        values[name] = write(run_dir, name, found) if name in TABLES else found
    return values[name]


def summarise(run_dir: Path) -> None:
    """Write the tables of one run; one that cannot be made is removed, and said why."""
    if streams.is_stream(run_dir):
        raise runs.RunError(f"{run_dir}: a stream, whose calls scripts/stream.py sums up")
    values = given(run_dir)
    reasons: dict[str, list[str]] = {}
    for name in TABLES:
        try:
            made(run_dir, name, values)
        except Unknown as unknown:
            (run_dir / name).unlink(missing_ok=True)
            reasons.setdefault(str(unknown), []).append(name)
    for reason, names in reasons.items():
        print(f"summarise.py: {run_dir}: no {' and no '.join(names)}: {reason}", file=sys.stderr)
