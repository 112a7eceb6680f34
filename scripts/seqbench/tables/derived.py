"""Derive every table of a run folder, or of several, from its samples."""
from __future__ import annotations

import sys
from pathlib import Path

from seqbench.read import hosts, runs
from seqbench.tables import claims, crossover, fit, medians, prediction, roofline


def summarise(run_dir: Path) -> None:
    """Write the tables of one run; what a later one needs is read back as it stands in a file."""
    host = hosts.load(run_dir)
    samples = runs.traits_of(run_dir / "kernels.csv", runs.load_samples(run_dir),
                             runs.load_kernels(run_dir))
    until = hosts.value(host, "run", "until") or runs.UNTIL
    runs.write_text(run_dir / "summary.csv", runs.csv_text(medians.summarise(samples, until)))
    summary = runs.load_derived(run_dir, "summary.csv")
    fits = fit.fit(summary, host)
    tables = {
        "crossover.csv": crossover.crossover(summary, crossover.resampled_from(samples)),
        "roofline.csv": roofline.roofline(summary, host),
        "fit.csv": fits,
        "residuals.csv": fit.residuals(summary, host, fits),
        "claims.csv": claims.claims(summary),
    }
    for name, table in tables.items():
        runs.write_text(run_dir / name, runs.csv_text(table))
    try:
        prediction.write(run_dir, run_dir, run_dir)
    except prediction.Unknown as unknown:
        for name in ("predict.csv", "whatif.csv"):
            (run_dir / name).unlink(missing_ok=True)
        print(f"summarise.py: nothing predicted: {unknown}", file=sys.stderr)
