"""Panels on a sheet, for files, or each by itself, for the page."""
from __future__ import annotations

import textwrap
from collections.abc import Iterator

from matplotlib import figure as mpl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from seqbench.figures.drawing import LIGHT, Drawing, Panel

TOP, BOTTOM, LEFT = 0.65, 0.8, 0.75  # inches for the title, the caption, the labels
GAP, LINE = 0.72, 0.17  # inches between rows of panels, and of a line of the note


def legend_columns(looks: dict, width: float) -> int:
    """How many entries of a legend fit side by side."""
    return max(1, min(len(looks), int(width / 1.8)))


def add_legend(sheet: mpl.Figure, looks: dict[str, dict]) -> None:
    """One legend for all panels, above the caption."""
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    sheet.legend(handles=handles, loc="lower center", frameon=False,
                 ncol=legend_columns(looks, sheet.get_figwidth()),
                 bbox_to_anchor=(0.5, 0.25 / sheet.get_figheight()))


def label(axes: Axes, panel: Panel, x: bool = True, y: bool = True) -> None:
    """Title and labels; those of an axis that a neighbour has are left out."""
    axes.set_title(panel.title)
    axes.set_xlabel(panel.kind.x if x else "")
    axes.set_ylabel(panel.kind.y if y else "")
    axes.tick_params(labelbottom=x, labelleft=y)


def sheet_of(drawing: Drawing, title: str, caption: str) -> mpl.Figure:
    """All panels on one sheet; those of one kind share their axes."""
    panels, count = drawing.panels, len(drawing.panels)
    columns = min(drawing.columns, count)
    rows = -(-count // columns)
    width = max(drawing.size[0] * columns, 6.5)
    legend = 0.2 * -(-len(drawing.looks) // legend_columns(drawing.looks, width))
    note = textwrap.wrap(drawing.note, int(width * 13))
    top = TOP + LINE * len(note)
    height = top + drawing.size[1] * rows + BOTTOM + legend
    sheet = mpl.Figure(figsize=(width, height))
    kinds = [panel.kind for panel in panels]
    gap = 0.3 if len(set(kinds)) == 1 else 0.7
    grid = sheet.add_gridspec(rows, columns, left=LEFT / width, right=1 - 0.25 / width,
                              top=1 - top / height, bottom=(BOTTOM + legend) / height,
                              hspace=GAP / (drawing.size[1] - GAP),
                              wspace=gap / (drawing.size[0] - gap))
    first: dict = {}
    for i, panel in enumerate(panels):
        shared = first.get(panel.kind)
        axes = sheet.add_subplot(grid[i // columns, i % columns], sharex=shared, sharey=shared)
        first.setdefault(panel.kind, axes)
        panel.draw(axes)
        label(axes, panel, x=i + columns >= count or kinds[i + columns] is not panel.kind,
              y=i % columns == 0 or kinds[i - 1] is not panel.kind)
    for kind, axes in first.items():
        kind.scale(axes)
    if drawing.looks:
        add_legend(sheet, drawing.looks)
    sheet.text(0.5, 1 - 0.12 / height, title, ha="center", va="top", fontsize=12, weight="bold")
    sheet.text(0.5, 1 - 0.37 / height, "\n".join(note), ha="center", va="top")
    sheet.text(0.5, 0.08 / height, caption, ha="center", va="bottom", fontsize=8,
               color=LIGHT["muted"])
    return sheet


def each_alone(drawing: Drawing) -> Iterator[tuple[Panel, mpl.Figure]]:
    """Each panel by itself; those of one kind have the same limits."""
    width, height = drawing.alone
    box = [0.6 / width, 0.48 / height, 1 - 0.7 / width, 1 - 0.56 / height]
    drawn = [mpl.Figure(figsize=drawing.alone).add_axes(box) for _ in drawing.panels]
    of_kind: dict = {}
    for panel, axes in zip(drawing.panels, drawn):
        panel.draw(axes)
        panel.kind.scale(axes)
        of_kind.setdefault(panel.kind, []).append((*axes.get_xlim(), *axes.get_ylim()))
    for panel, axes in zip(drawing.panels, drawn):
        left, right, low, high = zip(*of_kind[panel.kind])
        axes.set(xlim=(min(left), max(right)), ylim=(min(low), max(high)))
        panel.kind.scale(axes)
        label(axes, panel)
        axes.set_title("")  # the page has it as text
        yield panel, axes.figure


def swatch(look: dict) -> mpl.Figure:
    """The sign of one entry of the legend."""
    sign = mpl.Figure(figsize=(0.45, 0.18))
    axes = sign.add_axes([0, 0, 1, 1])
    axes.axis("off")
    axes.plot([0, 1, 2], [0, 0, 0], **look, markevery=[1])
    return sign
