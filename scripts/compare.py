#!/usr/bin/python3
"""Compare runs with a base run, case by case: tables, compare.csv and a figure."""
from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqbench.figures import difference_map, plot
from seqbench.read import hosts, runs
from seqbench.tables import differences, streams
from seqbench.words import comparison

RESULTS = Path("results") / "compare"


@dataclass
class Run:
    """A run folder that was read."""
    folder: Path
    samples: pd.DataFrame
    host: dict

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a folder."""
        samples = streams.as_samples(folder) if streams.is_stream(folder) else (
            runs.load_samples(folder))
        return cls(folder, samples, hosts.load(folder))

    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name


def refuse_other_folder(folder: Path) -> None:
    """Raise RunError where something would be overwritten that is not a comparison."""
    try:
        if folder.exists() and any(folder.iterdir()):
            runs.load_derived(folder, "compare.csv")
    except (OSError, runs.RunError):
        raise runs.RunError(f"{folder}: exists and is not a comparison: left alone") from None


def compare(a: Run, b: Run, folder: Path) -> None:
    """Compare two runs, write everything into a folder and print the text."""
    cases, groups = differences.compare(a.samples, b.samples)
    text = comparison.report((a.folder, a.host), (b.folder, b.host), cases, groups)
    runs.make_folder(folder)
    runs.write_text(folder / "compare.csv", runs.csv_text(cases))
    runs.write_text(folder / "compare_groups.csv", runs.csv_text(groups))
    runs.write_text(folder / "report.txt", text)
    print(text)
    named = cases.assign(kernel=runs.kernel_names(cases))
    plot.write_one("compare", lambda: difference_map.draw(named), difference_map.TITLE,
                   f"A: {a.name()}  ·  B: {b.name()}", folder)
    print(f"written to {folder}")


def compare_all(folders: list[Path], output: Path | None) -> None:
    """Compare the first run with each of the others."""
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise runs.RunError(f"{folders[0]}: the same run is given twice")
    base, *others = [Run.load(folder) for folder in folders]
    targets = [output or RESULTS / f"{base.name()}-vs-{other.name()}" for other in others]
    for i, target in enumerate(targets):
        refuse_other_folder(target)
        if target in targets[:i]:
            raise runs.RunError(f"{target}: two comparisons would be written there")
    for other, target in zip(others, targets):
        compare(base, other, target)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="compare.py", description=__doc__)
    parser.add_argument("a", type=Path, metavar="A", help="run folder that is the base")
    parser.add_argument("others", type=Path, metavar="B", nargs="+", help="compared with A")
    parser.add_argument("-o", dest="output", type=Path, metavar="DIR",
                        help=f"where to write ({RESULTS}/A-vs-B)")
    options = parser.parse_args(arguments)
    return runs.exit_status("compare.py",
                            lambda: compare_all([options.a, *options.others], options.output))


if __name__ == "__main__":
    sys.exit(main())
