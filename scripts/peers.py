#!/usr/bin/python3
"""Set our fastest variants beside other libraries that runs have timed: peers.csv, tables, a figure."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from seqbench.figures import peer_map, plot
from seqbench.read import hosts, runs
from seqbench.tables import peer_ratios
from seqbench.words import peer_tables, wording


def compare(folders: list[Path], output: Path) -> None:
    """Read the runs, write peers.csv and the figure, print the tables."""
    machines = [hosts.load(folder) for folder in folders]
    cores = {hosts.value(host, "cpu", "measured_core") for host in machines}
    if len(cores) > 1:
        raise runs.RunError(f"{folders[0]}: not the same core as {folders[-1]}")
    samples = pd.concat([peer_ratios.load(folder) for folder in folders], ignore_index=True)
    frame, groups = peer_ratios.peers(samples)
    runs.make_folder(output)
    runs.write_text(output / "peers.csv", runs.csv_text(frame))
    print(f"{peer_tables.cell_table(frame)}\n\nGeometric means over cells, with 95 % intervals:\n"
          f"{peer_tables.mean_table(groups)}\n\n{wording.text_table(*peer_tables.layer_rows(frame))}\n")
    name = output.resolve().name
    plot.write_one("peers", lambda: peer_map.draw(frame), peer_map.TITLE,
                   f"{hosts.machine_name(machines[0])}  ·  {name}", output)
    print(f"written to {output}")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="peers.py", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_DIR",
                        help="runs on one core, of `make peers`")
    parser.add_argument("-o", dest="output", type=Path, metavar="DIR", required=True)
    options = parser.parse_args(arguments)
    return runs.exit_status("peers.py", lambda: compare(options.folders, options.output))


if __name__ == "__main__":
    sys.exit(main())
