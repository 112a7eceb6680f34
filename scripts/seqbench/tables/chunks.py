"""chunks.csv: many tokens at once against token by token, for several lengths of a chunk."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import precision

SINGLE, MANY = "recurrent", "chunked"
COLUMNS = ["layer", *runs.DIMENSIONS, "chunk", "ratio", "ratio_low", "ratio_high"]


def forms(run_dir: Path) -> pd.DataFrame:
    """Time of the chunked form over that of the recurrent one, in each cell of a run."""
    summary = runs.load_summary(run_dir)
    timed = summary[summary.median_ns.notna() & (summary.kind == "layer")]
    cell = ["layer", *runs.DIMENSIONS]
    single, many = (precision.fastest(timed[timed.variant == form]).set_index(cell).assign(
        half=lambda rows: np.log(rows.ci_high_ns / rows.median_ns)) for form in (SINGLE, MANY))
    both = many[["median_ns", "half"]].join(single[["median_ns", "half"]], rsuffix="_single", how="inner")
    ratio, half = both.median_ns / both.median_ns_single, np.hypot(both.half, both.half_single)
    return pd.DataFrame({"ratio": ratio, "ratio_low": ratio * np.exp(-half),
                         "ratio_high": ratio * np.exp(half)}).reset_index()


def chunks(run_dirs: list[Path]) -> pd.DataFrame:
    """chunks.csv of runs of builds by `make CHUNK=n`."""
    found = []
    for run_dir in run_dirs:
        chunk = hosts.value(hosts.load(run_dir), "build", "chunk")
        if not isinstance(chunk, int):
            raise runs.RunError(f"{run_dir / 'host.json'}: build: chunk is missing")
        found.append(forms(run_dir).assign(chunk=chunk))
    table = pd.concat(found, ignore_index=True)
    if table.empty:
        raise runs.RunError(f"{run_dirs[0]}: no layer was timed in both forms, {SINGLE} and {MANY}")
    if table.duplicated(["layer", *runs.DIMENSIONS, "chunk"]).any():
        raise runs.RunError(f"{run_dirs[0]}: two of the runs have chunks of the same length")
    return table.sort_values(["layer", *runs.DIMENSIONS, "chunk"])[COLUMNS]
