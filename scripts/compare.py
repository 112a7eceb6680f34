#!/usr/bin/python3
"""Compare runs with a base run, case by case: tables, compare.csv and a figure."""
from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter

import comparison
import drawing
import plot
import runs
import wording

RESULTS = Path("results") / "compare"
MOST_LISTED = 40  # cases called different, on the terminal
MOST_NAMED = 4  # cases that one run has alone
MOST_PANELS = 40
LEAST_SCALE, MOST_SCALE = np.log2(1.05), np.log2(2)  # ends of the colour scale

# What of host.json is looked at: name, group, key.
CONDITIONS = [
    ("CPU", "cpu", "model"), ("CPU family", "cpu", "family"),
    ("CPU model number", "cpu", "model_number"), ("core", "cpu", "measured_core"),
    ("kernel", "os", "kernel"),
    ("compiler", "build", "compiler"), ("flags", "build", "flags"), ("commit", "build", "commit"),
    ("uncommitted changes", "build", "dirty"), ("BLAS", "libraries", "openblas_config"),
    ("BLAS core", "libraries", "openblas_corename"),
    ("BLAS environment", "libraries", "blas_environment"), ("kernels", "run", "kernels"),
    ("grid", "run", "grid"), ("SeqLen", "run", "seq_len"), ("HidSize", "run", "hid_size"),
    ("heads", "run", "heads"), ("rounds", "run", "rounds"), ("seed", "run", "seed"),
    ("flush to zero", "run", "flush_to_zero"),
]


@dataclass
class Run:
    """A run folder that was read."""
    folder: Path
    samples: pd.DataFrame
    host: dict

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a folder."""
        return cls(folder, runs.load_samples(folder), runs.load_host(folder))

    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name


# ---- report ------------------------------------------------------------------------------------


def value_text(value) -> str:
    """A value of host.json."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value).strip()


def difference_line(name: str, a: str, b: str) -> str:
    """How two values differ; of long ones only the words that one of them has alone."""
    words_a, words_b = a.split(), b.split()
    if len(words_a) > 6 and set(words_a) != set(words_b):
        a = " ".join(word for word in words_a if word not in words_b) or "nothing more"
        b = " ".join(word for word in words_b if word not in words_a) or "nothing more"
    return f"{name}: A {a}; B {b}"


def host_lines(a: dict, b: dict) -> list[str]:
    """How the conditions of two runs differ."""
    lines = []
    for name, group, key in CONDITIONS:
        values = [value_text(runs.host_value(host, group, key)) for host in (a, b)]
        if values[0] != values[1]:
            lines.append(difference_line(name, *values))
    lines = lines or ["nothing that host.json tells"]
    return ["Differs between the runs:"] + [
        textwrap.fill(line, wording.WIDTH, initial_indent="  ", subsequent_indent="    ")
        for line in lines]


def ratio_text(ratio: float) -> str:
    """A time ratio: 1.052x."""
    return f"{ratio:.3f}x"


def interval_text(row) -> str:
    """The interval of a row."""
    return f"{row.ci_low:.3f} to {row.ci_high:.3f}"


def group_rows(groups: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows: geometric mean and verdicts per group."""
    header = ["group", "cases", "time B/A", "95 % interval", "faster", "slower", "no difference",
              "not comparable"]
    rows = [[row.group, str(row.cases),
             *(["-", "-"] if np.isnan(row.time_ratio)
               else [ratio_text(row.time_ratio), interval_text(row)]),
             str(row.faster), str(row.slower), str(row.no_difference), str(row.not_comparable)]
            for row in groups.itertuples()]
    return header, rows


def section(folder: Path, link: str) -> str:
    """The layers of a comparison and all its cases, in words."""
    groups = runs.load_derived(folder, "compare_groups.csv")
    is_piece = groups.group.str.endswith((" parts", " step"))
    is_all = groups.group == comparison.ALL
    words = [f"{ratio_text(row.time_ratio)} for {row.group} ({interval_text(row)})"
             for row in groups[~is_piece & ~is_all & groups.time_ratio.notna()].itertuples()]
    every = groups[is_all].iloc[0]
    return (f"Time over that of the base, with its 95 % interval: {wording.listing(words)}. "
            f"Of [{every.cases} cases]({link}/report.txt) {every.slower} are slower, "
            f"{every.faster} faster, {every.no_difference} not different, "
            f"{every.not_comparable} not comparable.")


def case_name(row) -> str:
    """A case in words."""
    heads = f" A={row.heads}" if row.heads > 1 else ""
    return f"{row.kernel} S={row.seq_len} H={row.hid_size}{heads}"


def different_table(cases: pd.DataFrame) -> str:
    """The cases called different, the largest differences first."""
    found = cases[cases.verdict.isin(comparison.DIFFERENT)]
    if found.empty:
        return "No case is called different."
    size = np.log(found.time_ratio).abs()
    found = found.loc[size.sort_values(ascending=False, kind="stable").index]
    header = ["case", "A us", "B us", "time B/A", "95 % interval", "adjusted p", "verdict"]
    rows = [[case_name(row), wording.plain(row.median_a_ns / 1000),
             wording.plain(row.median_b_ns / 1000), ratio_text(row.time_ratio), interval_text(row),
             f"{row.p_adjusted:.2g}", row.verdict]
            for row in found[:MOST_LISTED].itertuples()]
    more = len(found) - len(rows)
    rest = f"\n... and {more} more in compare.csv" if more else ""
    return "Cases called different:\n" + wording.text_table(header, rows) + rest


def left_out_lines(cases: pd.DataFrame) -> list[str]:
    """The cases that cannot be compared: how many, why, and some of them."""
    lines = []
    for reason, rows in cases[cases.reason != ""].groupby("reason"):
        names = [case_name(row) for row in rows[:MOST_NAMED].itertuples()]
        more = ["..."] if len(rows) > MOST_NAMED else []
        lines.append(textwrap.fill(f"Not comparable, {reason}: {len(rows)} "
                                   f"({', '.join(names + more)})", wording.WIDTH))
    return lines


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.1f} %"


def floor_sentence(everything) -> str:
    """How many cases are called different and how wide the intervals are."""
    compared = everything.cases - everything.not_comparable
    if not compared:
        return "No case can be compared."
    return (f"Called different: {everything.faster + everything.slower} of {compared} compared "
            f"cases ({percent(everything.different_share)}). Width of the 95 % intervals: median "
            f"{percent(everything.width_median)}, 90th percentile "
            f"{percent(everything.width_p90)}.")


def drift_sentence(everything) -> str:
    """A caution where the runs differ as a whole."""
    if not (everything.ci_low > 1 or everything.ci_high < 1):
        return ""
    return ("The runs differ as a whole. What all cases share may be the change, or a machine that "
            "was in another state: `make aa` shows what the same build does.")


def report(a: Run, b: Run, cases: pd.DataFrame, groups: pd.DataFrame) -> str:
    """The whole text."""
    everything = next(groups[-1:].itertuples())
    sentences = [floor_sentence(everything), drift_sentence(everything)]
    blocks = ["\n".join([f"A: {a.folder}", f"B: {b.folder}", *host_lines(a.host, b.host)]),
              wording.text_table(*group_rows(groups)),
              "\n".join(textwrap.fill(text, wording.WIDTH) for text in sentences if text),
              "\n".join(left_out_lines(cases)), different_table(cases)]
    return "\n\n".join(block for block in blocks if block) + "\n"


# ---- figure ------------------------------------------------------------------------------------


def chosen_kernels(cases: pd.DataFrame) -> list[str]:
    """The kernels that get a panel: whole layers first; of too many, those that differ most."""
    kernels = cases[["kind", "kernel"]].drop_duplicates().sort_values(["kind", "kernel"])
    called = cases.verdict.isin(comparison.DIFFERENT).groupby(cases.kernel).sum()
    order = kernels.kernel.map(called).sort_values(ascending=False, kind="stable").index
    return list(kernels.loc[kernels.index.isin(order[:MOST_PANELS])].kernel)


def draw_panel(axes: Axes, cases: pd.DataFrame, limit: float):
    """One kernel: the ratio in every cell, and a frame with the ratio where it is called."""
    cells = cases.pivot(index=["hid_size", "heads"], columns="seq_len", values="time_ratio")
    logs = np.log2(cells.to_numpy())
    edges = np.arange(logs.shape[1] + 1) - 0.5, np.arange(logs.shape[0] + 1) - 0.5
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(logs), cmap="RdBu_r", vmin=-limit,
                           vmax=limit, edgecolors="white", linewidth=0.5)
    for row in cases[cases.verdict.isin(comparison.DIFFERENT)].itertuples():
        i = cells.columns.get_loc(row.seq_len)
        j = cells.index.get_loc((row.hid_size, row.heads))
        axes.add_patch(Rectangle((i - 0.44, j - 0.44), 0.88, 0.88, fill=False, linewidth=1.1))
        axes.text(i, j, f"{row.time_ratio:.2f}", ha="center", va="center", fontsize=6,
                  color="white" if abs(np.log2(row.time_ratio)) > 0.6 * limit else "black")
    several = cases.groupby("hid_size").heads.nunique().max() > 1
    axes.set_xticks(range(logs.shape[1]), cells.columns, rotation=90)
    axes.set_yticks(range(logs.shape[0]),
                    [f"{size} (A={heads})" if several else size for size, heads in cells.index])
    axes.set_xlim(edges[0][[0, -1]])
    axes.set_ylim(edges[1][[0, -1]])
    axes.tick_params(labelsize=6.5, length=2)
    axes.grid(False)
    return mesh


def add_scale(figure: Figure, mesh, limit: float, place: list[float], beyond: bool) -> None:
    """The colour bar, with ratios as labels."""
    bar = figure.colorbar(mesh, cax=figure.add_axes(place), extend="both" if beyond else "neither")
    bar.locator = FixedLocator(np.linspace(-limit, limit, 9))
    bar.formatter = FuncFormatter(lambda power, _: f"{2 ** power:.2f}x")
    bar.update_ticks()
    bar.outline.set_visible(False)


def draw_figure(cases: pd.DataFrame, caption: str) -> Figure:
    """The time ratio over SeqLen and HidSize, one panel per kernel."""
    shown = cases[(cases.kind != "roof") & (cases.verdict != comparison.NOT_COMPARABLE)]
    if shown.empty:
        raise drawing.Skip("no layer or part can be compared")
    kernels = chosen_kernels(shown)
    largest = np.log2(shown.time_ratio).abs().max()
    # Some room at the ends of the scale, where a frame would hardly be seen.
    limit = float(np.clip(1.3 * largest, LEAST_SCALE, MOST_SCALE))
    columns = min(4, len(kernels))
    rows = -(-len(kernels) // columns)
    per_row = max(shown.groupby("kernel").hid_size.nunique().max() * 0.2, 0.6)
    width, height = max(2.9 * columns, 5.8) + 1.6, 1.7 + rows * (per_row + 0.75)
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(rows, columns, left=0.75 / width, right=1 - 1.25 / width,
                               top=1 - 1.0 / height, bottom=0.85 / height, wspace=0.28,
                               hspace=0.75 / per_row)
    for i, kernel in enumerate(kernels):
        panel = figure.add_subplot(grid[i // columns, i % columns])
        mesh = draw_panel(panel, shown[shown.kernel == kernel], limit)
        panel.set_title(kernel, fontsize=9)
        if i % columns == 0:
            panel.set_ylabel("HidSize", fontsize=8)
        if i + columns >= len(kernels):
            panel.set_xlabel("SeqLen", fontsize=8)
    add_scale(figure, mesh, limit, [1 - 1.0 / width, 0.85 / height, 0.16 / width,
                                    1 - 1.85 / height], largest > limit)
    count = shown.kernel.nunique()
    of = f"; {len(kernels)} of {count} kernels" if len(kernels) < count else ""
    drawing.frame(figure, "Time of B / time of A\n"
               f"(above 1x B is slower; framed: called different{of})", caption)
    return figure


# ---- output ------------------------------------------------------------------------------------


def refuse_other_folder(folder: Path) -> None:
    """Raise RunError where something would be overwritten that is not a comparison."""
    try:
        if folder.exists() and any(folder.iterdir()):
            runs.validate(folder / "compare.csv", runs.README)
    except (OSError, runs.RunError):
        raise runs.RunError(f"{folder}: exists and is not a comparison: left alone") from None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise runs.RunError(f"{folder}: cannot make: {error.strerror}") from error


def compare(a: Run, b: Run, folder: Path) -> None:
    """Compare two runs, write everything into a folder and print the text."""
    cases, groups = comparison.compare(a.samples, b.samples)
    text = report(a, b, cases, groups)
    make_folder(folder)
    runs.write_text(folder / "compare.csv", runs.csv_text(cases))
    runs.write_text(folder / "compare_groups.csv", runs.csv_text(groups))
    runs.write_text(folder / "report.txt", text)
    print(text)
    try:
        with plt.rc_context(drawing.STYLE):
            plot.save(draw_figure(cases, f"A: {a.name()}  ·  B: {b.name()}"), folder / "figures",
                      "compare")
    except drawing.Skip as skipped:
        print(f"compare.py: {folder}: figure skipped: {skipped}", file=sys.stderr)
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
