#!/usr/bin/python3
"""Time torch.nn's layers in one thread on one core, as seqbench times its kernels.

  peer_torch.py run [options of seqbench run] -o DIR
  peer_torch.py stream [options of seqbench run] [--calls N] [--seconds N] -o DIR
  peer_torch.py run --resume DIR [--pause-after n]

Cells, rounds and core are those that `seqbench plan` and `seqbench host` give for the same options;
SEQBENCH names the program. The folder has the files of a run. scripts/turns can drive this.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.peers import torch_run
from seqbench.read import runs


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of seqbench run; `others` are for `seqbench plan`."""
    parser = argparse.ArgumentParser(prog="peer_torch.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run, stream = (commands.add_parser(name, allow_abbrev=False,
                                       epilog="Other options are those of `seqbench plan`.")
                   for name in ("run", "stream"))
    for command in (run, stream):
        for name, flag in torch_run.OPTIONS.items():
            command.add_argument(flag, dest=name, type=int if name == "cpu" else str)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--budget", choices=["0"], default="0",
                             help="the planned rounds and no more")
        command.add_argument("--wait", type=int, default=0)
        command.add_argument("--pause-after", type=int)
    run.add_argument("--samples", type=int, default=3)
    where = run.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", dest="folder", type=Path)
    where.add_argument("--resume", type=Path)
    stream.add_argument("--conditions", choices=["hot"], default="hot", help="call after call")
    stream.add_argument("--calls", type=int, default=20000, help="of each case, in all rounds")
    stream.add_argument("--seconds", type=int, default=5, help="but no longer for these")
    stream.add_argument("-o", dest="folder", type=Path, required=True)
    stream.set_defaults(grid="stream", samples=1, resume=None)
    one = commands.add_parser("round", help="is started by run")
    one.add_argument("folder", type=Path)
    one.add_argument("number", type=int)
    options, others = parser.parse_known_args(arguments)
    options.others = others
    if options.command != "round":
        options.grid, options.kernels = options.grid or "default", options.kernels or "*"
    if others and (options.command == "round" or options.resume):
        parser.error(f"unknown here: {others[0]}")
    return options


def work(options: argparse.Namespace) -> None:
    """What the command line asks for."""
    if options.command == "round":
        torch_run.run_round(options.folder, options.number)
    else:
        folder = options.resume or torch_run.create(options)
        torch_run.conduct(folder, options.pause_after, options.wait)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = parse(arguments)
    return runs.exit_status("peer_torch.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
