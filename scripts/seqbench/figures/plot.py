"""Write the figures of a run as SVG and PNG."""
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib import figure as mpl

from seqbench.figures import FIGURES, svg
from seqbench.figures.drawing import STYLE, Drawing, NotAsked, Run, Skip
from seqbench.figures.layout import sheet_of
from seqbench.read import runs


def save(sheet: mpl.Figure, folder: Path, name: str) -> None:
    """Write a figure as SVG, the same bytes every time, and as PNG."""
    try:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.svg").write_text(svg.markup(sheet), encoding="utf-8")
        sheet.savefig(folder / f"{name}.png")
    except OSError as error:
        raise runs.RunError(f"{folder}: cannot write: {error.strerror}") from error


def write(drawing: Drawing, title: str, caption: str, folder: Path, name: str) -> None:
    """Draw a figure and write it."""
    with matplotlib.rc_context(STYLE):
        save(sheet_of(drawing, title, caption), folder, name)


def write_one(name: str, draw: Callable[[], Drawing], title: str, caption: str,
              folder: Path) -> None:
    """The only figure of a folder, with the name of the script that makes it; or why not."""
    try:
        write(draw(), title, caption, folder / "figures", name)
    except Skip as reason:
        print(f"{name}.py: {folder}: figure skipped: {reason}", file=sys.stderr)


def plot(run_dir: Path, all_variants: bool = False) -> None:
    """Draw every figure that the run has the cases for."""
    run = Run.load(run_dir, all_variants)
    for figure in FIGURES:
        try:
            write(figure.draw(run), figure.title, run.caption, run_dir / "figures", figure.name)
        except NotAsked:
            pass
        except Skip as reason:
            print(f"plot.py: {run_dir}: figure {figure.name} skipped: {reason}", file=sys.stderr)
