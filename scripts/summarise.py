#!/usr/bin/python3
"""Derive every table of a run folder, or of several, from its samples."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import claims
import crossover
import fit
import predict
import roofline
import runs


def summarise(run_dir: Path) -> None:
    """Write the tables of one run; what a later one needs is read back as it stands in a file."""
    host = runs.load_host(run_dir)
    samples = runs.traits_of(run_dir / "kernels.csv", runs.load_samples(run_dir),
                             runs.load_kernels(run_dir))
    until = runs.host_value(host, "run", "until") or runs.UNTIL
    runs.write_text(run_dir / "summary.csv", runs.csv_text(runs.summarise(samples, until)))
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
        predict.write(run_dir, run_dir, run_dir)
    except predict.Unknown as unknown:
        for name in ("predict.csv", "whatif.csv"):
            (run_dir / name).unlink(missing_ok=True)
        print(f"summarise.py: nothing predicted: {unknown}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="summarise.py", description=__doc__)
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    run_dirs = parser.parse_args(arguments).run_dirs

    def work() -> None:
        for run_dir in run_dirs:
            summarise(run_dir)

    return runs.exit_status("summarise.py", work)


if __name__ == "__main__":
    sys.exit(main())
