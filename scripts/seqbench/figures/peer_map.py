"""The faster peer over ours as a figure: the ratio in every cell of each layer."""
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from seqbench.figures import plot


def draw(frame: pd.DataFrame, caption: str) -> Figure:
    """Faster peer / ours in every cell: one heat map per layer."""
    cells = frame.rename(columns={"faster_ratio": "ratio"}).dropna(subset="ratio")
    if cells.empty:
        raise plot.Skip("no cell was timed by us and by a peer")
    layers = sorted(cells.layer.unique())
    limit = max(np.log2(cells.ratio).abs().max(), 1.0)
    columns = min(2, len(layers))
    rows = -(-len(layers) // columns)
    width = max(columns * 3.6, 5.0) + 1.4
    height = 1.45 + rows * (0.95 + 0.36 * cells.hid_size.nunique())
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(rows, columns, left=1.15 / width, right=1 - 1.15 / width,
                               top=1 - 0.9 / height, bottom=0.8 / height, wspace=0.28, hspace=0.5)
    for i, layer in enumerate(layers):
        panel = figure.add_subplot(grid[i // columns, i % columns])
        mesh = plot.draw_heat_map(panel, cells[cells.layer == layer], limit)
        panel.set_title(layer)
        panel.set_xlabel("SeqLen (steps)")
        if i % columns == 0:
            panel.set_ylabel("HidSize (channels)")
    bar = figure.colorbar(mesh, cax=figure.add_axes([1 - 0.95 / width, 0.8 / height, 0.16 / width,
                                                     1 - 1.7 / height]))
    bar.locator = FixedLocator(np.linspace(-limit, limit, 9))
    bar.formatter = FuncFormatter(lambda power, _: f"{2 ** power:.2f}x")
    bar.update_ticks()
    bar.outline.set_visible(False)
    plot.frame(figure, "Time of the faster of oneDNN and PyTorch / our time\n"
               "(above 1x ours is faster; black line: where that changes)", caption)
    return figure
