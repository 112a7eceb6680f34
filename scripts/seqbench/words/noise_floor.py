"""How far numbers can be trusted here, in words: from comparisons of a build with itself."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs

PLANTED = 1.05  # time of the planted kernels over the plain ones'
NEAR = 0.02  # of a median, beside a busy loop


def compared(folder: Path) -> pd.DataFrame:
    """The cases of compare.csv that both sides timed well enough."""
    cases = runs.load_derived(folder, "compare.csv")
    return cases[cases.verdict != "not comparable"]


def same_build(folders: list[Path], link: Callable[[Path], str]) -> str:
    """How often the same build, timed twice in turns, is called different."""
    found = [compared(folder) for folder in folders]
    called = [int(cases.verdict.isin(["faster", "slower"]).sum()) for cases in found]
    total = sum(map(len, found))
    width = np.median(np.concatenate([cases.ci_high / cases.ci_low - 1 for cases in found]))
    links = ", ".join(f"[{count} of {len(cases)}]({link(folder)}/report.txt)"
                      for count, cases, folder in zip(called, found, folders))
    return (f"- The same build timed twice, in turns, {len(found)} times (`make aa GRID=quick`): "
            f"{sum(called)} of {total} cases ({sum(called) / total:.1%}) are called different "
            f"({links}). The median 95 % interval is {width:.0%} wide.")


def planted(folder: Path, link: Callable[[Path], str]) -> str:
    """Whether 5 % more work shows."""
    cases = compared(folder)
    holds = ((cases.ci_low <= PLANTED) & (cases.ci_high >= PLANTED)).sum()
    return (f"- 5 % more work in every kernel, in turns (`make planted`): "
            f"[{(cases.verdict == 'slower').sum()} of {len(cases)} cases]"
            f"({link(folder)}/report.txt) are called slower, and {holds} of the "
            f"intervals hold {PLANTED}.")


def hog(folder: Path, link: Callable[[Path], str]) -> str:
    """Whether a busy loop on the core moves medians that are not marked unstable."""
    case = [*runs.KERNEL, *runs.DIMENSIONS]
    cases = compared(folder).merge(runs.load_derived(folder, "summary.csv")[[*case, "stability"]],
                                   on=case)
    is_near = (cases.time_ratio - 1).abs() <= NEAR
    either = is_near | (cases.stability == "unstable")
    return (f"- A busy loop on the same core during every third round of the second run "
            f"(`make hog`): [{is_near.sum()} of {len(cases)} medians]"
            f"({link(folder)}/report.txt) stay within {NEAR:.0%} of the quiet run's; "
            f"{either.sum()} do so or are marked unstable.")


def section(folder: Path, link: Callable[[Path], str]) -> str:
    """What is said of the noise floor; parts that were not measured are left out."""
    lines = []
    repeated = sorted(folder.glob("aa-*"))
    if repeated:
        lines.append(same_build(repeated, link))
    for name, sentence in (("planted", planted), ("hog", hog)):
        if (folder / name).is_dir():
            lines.append(sentence(folder / name, link))
    if not lines:
        raise runs.RunError(f"{folder}: holds neither aa-*, planted nor hog")
    return "\n".join(lines)
