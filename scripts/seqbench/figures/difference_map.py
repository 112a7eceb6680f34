"""A comparison as a figure: the time ratio in every cell of each kernel."""
from __future__ import annotations

import numpy as np
import pandas as pd

from seqbench.figures.drawing import Drawing, Shade, Skip, heat_panels, size_text
from seqbench.tables import differences

TITLE = "Time of B / time of A"
MOST_PANELS = 40
LEAST_SCALE, MOST_SCALE = np.log2(1.05), np.log2(2)  # ends of the colour scale


def chosen_kernels(cases: pd.DataFrame) -> list[str]:
    """The kernels that get a panel: whole layers first; of too many, those that differ most."""
    kernels = cases[["kind", "kernel"]].drop_duplicates().sort_values(["kind", "kernel"])
    called = cases.verdict.isin(differences.DIFFERENT).groupby(cases.kernel).sum()
    order = kernels.kernel.map(called).sort_values(ascending=False, kind="stable").index
    return list(kernels.loc[kernels.index.isin(order[:MOST_PANELS])].kernel)


def text(row) -> str:
    """A cell."""
    return f"{row.ratio:.3f}x, {row.verdict}\n{size_text(row)}"


def is_faster(ratio: float) -> bool:
    """Whether B takes less time."""
    return ratio < 1


def draw(cases: pd.DataFrame) -> Drawing:
    """The time ratio over SeqLen and HidSize, one panel per kernel."""
    shown = cases[(cases.kind != "roof") & (cases.verdict != differences.NOT_COMPARABLE)]
    if shown.empty:
        raise Skip("no layer or part can be compared")
    shown = shown.rename(columns={"time_ratio": "ratio"})
    shown["called"] = shown.verdict.isin(differences.DIFFERENT)
    kernels = chosen_kernels(shown)
    # Some room at the ends of the scale, where a frame would hardly be seen.
    full = float(np.clip(1.3 * np.log2(shown.ratio).abs().max(), LEAST_SCALE, MOST_SCALE))
    count = shown.kernel.nunique()
    of = f"; {len(kernels)} of {count} kernels" if len(kernels) < count else ""
    panels, size = heat_panels({kernel: shown[shown.kernel == kernel] for kernel in kernels}, text,
                               Shade(is_faster, full, "{:.2f}".format, least=0))
    return Drawing("below 1, blue, B takes less time, above 1, orange, more; full colour at "
                   f"{2 ** full:.2f}; framed: called different{of}", panels, size=size)
