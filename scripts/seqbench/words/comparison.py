"""A comparison of two runs in words: how their conditions differ, and the tables."""
from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import differences
from seqbench.words import wording

MOST_LISTED = 40  # cases called different, on the terminal
MOST_NAMED = 4  # cases that one run has alone

# What of host.json is looked at: name, group, key.
CONDITIONS = [
    ("CPU", "cpu", "model"), ("CPU family", "cpu", "family"),
    ("CPU model number", "cpu", "model_number"), ("core", "cpu", "measured_core"),
    ("kernel", "os", "kernel"),
    ("compiler", "build", "compiler"), ("flags", "build", "flags"),
    ("version", "build", "version"), ("commit", "build", "commit"),
    ("uncommitted changes", "build", "dirty"), ("BLAS", "libraries", "openblas_config"),
    ("BLAS core", "libraries", "openblas_corename"),
    ("BLIS kernels", "libraries", "blis_kernels"),
    ("BLAS environment", "libraries", "blas_environment"), ("kernels", "run", "kernels"),
    ("engines", "run", "engines"), ("grid", "run", "grid"), ("SeqLen", "run", "seq_len"),
    ("HidSize", "run", "hid_size"), ("heads", "run", "heads"), ("rounds", "run", "rounds"),
    ("seed", "run", "seed"), ("flush to zero", "run", "flush_to_zero"),
]


# ---- report ------------------------------------------------------------------------------------


def value_text(value) -> str:
    """A value of host.json."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value).strip() or "not given"


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
        values = [value_text(hosts.value(host, group, key)) for host in (a, b)]
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
    is_all = groups.group == differences.ALL
    words = [f"{ratio_text(row.time_ratio)} for {row.group} ({interval_text(row)})"
             for row in groups[~is_piece & ~is_all & groups.time_ratio.notna()].itertuples()]
    every = groups[is_all].iloc[0]
    return (f"Time over that of the base, with its 95 % interval: {wording.listing(words)}. "
            f"Of [{every.cases} cases]({link}/report.txt) {every.slower} are slower, "
            f"{every.faster} faster, {every.no_difference} not different, "
            f"{every.not_comparable} not comparable.")


def case_name(row) -> str:
    """A case in words."""
    sizes = {name: getattr(row, name) for name in runs.DIMENSIONS}
    return f"{row.kernel} {wording.sizes_text(sizes)}"


def different_table(cases: pd.DataFrame) -> str:
    """The cases called different, the largest differences first."""
    found = cases[cases.verdict.isin(differences.DIFFERENT)]
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


def report(a: tuple[Path, dict], b: tuple[Path, dict], cases: pd.DataFrame,
           groups: pd.DataFrame) -> str:
    """The whole text, of two runs as folder and host."""
    everything = next(groups[-1:].itertuples())
    cases = cases.assign(kernel=runs.kernel_names(cases))
    sentences = [floor_sentence(everything), drift_sentence(everything)]
    blocks = ["\n".join([f"A: {a[0]}", f"B: {b[0]}", *host_lines(a[1], b[1])]),
              wording.text_table(*group_rows(groups)),
              "\n".join(textwrap.fill(text, wording.WIDTH) for text in sentences if text),
              "\n".join(left_out_lines(cases)), different_table(cases)]
    return "\n\n".join(block for block in blocks if block) + "\n"
