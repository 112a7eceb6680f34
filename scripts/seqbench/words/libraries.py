"""BLIS beside OpenBLAS in sentences: from a run with both engines."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import libraries
from seqbench.words import wording

KERNELS = {"openblas": "openblas_corename", "blis": "blis_kernels"}  # in host.json
ASKED_BY = {"openblas": "OPENBLAS_CORETYPE", "blis": "BLIS_ARCH_TYPE"}  # environment variables
COMMAND = "make bench BLAS=blis ENGINE=openblas,blis"


def versions(host: dict) -> tuple[str, str]:
    """BLIS 0.9.0 and OpenBLAS 0.3.21."""
    blis, config = (hosts.value(host, "libraries", key) for key in ("blis", "openblas_config"))
    return f"BLIS {blis}", " ".join(str(config).split()[:2])


def kernels_text(host: dict, engine: str) -> str:
    """The kernels that a library used, and who chose them."""
    variables = hosts.value(host, "libraries", "blas_environment") or {}
    name = ASKED_BY[engine]
    chosen = f"as {name}={variables[name]} asks" if name in variables else "its own choice"
    return f"its kernels for {hosts.value(host, 'libraries', KERNELS[engine])} ({chosen})"


def mean_text(ratios: pd.Series) -> str:
    """Their geometric mean."""
    return f"{wording.ratio_text(np.exp(np.log(ratios).mean()))} times"


def sentences(run_dir: Path) -> str:
    """The geometric mean of time over time, its range, the mean of each layer, and the kernels."""
    host = hosts.load(run_dir)
    if hosts.value(host, "libraries", KERNELS["blis"]) is None:
        raise runs.RunError(f"{run_dir / 'host.json'}: built without BLIS: see {COMMAND}")
    try:
        table = libraries.time_ratios(runs.load_summary(run_dir), "blis", "openblas")
    except runs.RunError as error:
        raise runs.RunError(f"{run_dir / 'summary.csv'}: {error}: see {COMMAND}") from error
    blis, openblas = versions(host)
    low, high = (wording.ratio_text(value) for value in (table.ratio.min(), table.ratio.max()))
    layers = [f"{layer} {mean_text(rows.ratio)}" for layer, rows in table.groupby("layer")]
    return (f"On {hosts.machine_name(host)} layers over {blis} take {mean_text(table.ratio)} "
            f"({low} to {high}) as long as over {openblas} (geometric mean and range of "
            f"{len(table)} cells): {wording.listing(layers)}. "
            f"BLIS used {kernels_text(host, 'blis')}, OpenBLAS {kernels_text(host, 'openblas')}.")
