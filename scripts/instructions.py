#!/usr/bin/env python3
"""Count the instructions of one run of a kernel under callgrind, per multiply-add of its cost.

instructions.py SEQBENCH OUT.csv KERNEL... --engine packed -S 128 -H 256. Without an engine each
kernel takes its first. The program must be built without AVX-512 (MARCH=x86-64-v3), which valgrind
does not know.
"""
from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from seqbench.read import dimensions, runs

COLUMNS = ["kernel", "engine", *dimensions.COLUMNS, "instructions", "multiply_adds", "elementwise", "transcendentals", "instructions_per_multiply_add"]
EVALUATIONS = ["exps", "logs", "sigmoids", "tanhs", "rsqrts"]


def counted(text: str) -> int:
    """The total of a callgrind output file."""
    total = re.search(r"^(?:summary|totals): (\d+)$", text, re.MULTILINE)
    if not total:
        raise runs.RunError("callgrind wrote no total")
    return int(total[1])


def row(case: dict, kernel: str, instructions: int) -> dict:
    """One row of instructions.csv from case.json of the run that was counted."""
    cost = case["cost"]
    return {"kernel": kernel, "engine": case["engine"],
            **{size.column: case[size.name] for size in dimensions.ALL},
            "instructions": instructions, "multiply_adds": cost["multiply_adds"],
            "elementwise": cost["elementwise"],
            "transcendentals": sum(cost[name] for name in EVALUATIONS),
            "instructions_per_multiply_add":
                f"{instructions / cost['multiply_adds']:.4f}" if cost["multiply_adds"] else ""}


def count(seqbench: str, kernel: str, sizes: list[str], engine: str | None) -> dict:
    """Run a kernel once under callgrind, counting inside its run only."""
    with tempfile.TemporaryDirectory() as folder:
        out, case = Path(folder, "callgrind"), Path(folder, "case")
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                   "--toggle-collect=case_run", f"--callgrind-out-file={out}", seqbench, "dump",
                   "-k", kernel, *sizes, *(["--engine", engine] if engine else []), "-o", str(case)]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode != 0:
            last = (process.stderr.splitlines() or ["no message"])[-1]
            raise runs.RunError(f"{kernel}: valgrind failed: {last}")
        return row(json.loads((case / "case.json").read_text()), kernel, counted(out.read_text()))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seqbench")
    parser.add_argument("out", type=Path)
    parser.add_argument("kernels", nargs="+")
    parser.add_argument("--engine")
    parser.add_argument("-S", default="128")
    parser.add_argument("-H", default="256")
    options = parser.parse_args(arguments)

    def work() -> None:
        lines, sizes = [",".join(COLUMNS)], ["-S", options.S, "-H", options.H]
        for kernel in options.kernels:
            counts = count(options.seqbench, kernel, sizes, options.engine)
            lines.append(",".join(str(counts[name]) for name in COLUMNS))
            print(lines[-1], flush=True)
        runs.write_text(options.out, "\n".join(lines) + "\n")

    return runs.exit_status("instructions.py", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
