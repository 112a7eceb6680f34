"""The lines that a program with layers of another library speaks; see scripts/peers/README.md."""
from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

WARM_UP_CALLS = 8  # of a stream, as in bench/run/stream.c
STREAM_INPUTS = 16


class Case(Protocol):
    """A layer with its parameters, inputs and sizes."""

    def run(self) -> None:
        """The whole layer, on the inputs that were loaded."""

    def outputs(self) -> dict[str, np.ndarray]:
        """What the last run or step has made, by the layer's names."""

    def step(self, x: np.ndarray) -> None:
        """One call of a stream: x[BatchSize, SeqLen, InputSize], from the state of the last one."""


def usage() -> dict[str, int]:
    """What has disturbed this process so far, and its CPU time."""
    now = resource.getrusage(resource.RUSAGE_SELF)
    return {"voluntary_switches": now.ru_nvcsw, "involuntary_switches": now.ru_nivcsw,
            "minor_faults": now.ru_minflt, "major_faults": now.ru_majflt,
            "cpu_ns": time.process_time_ns(), "wall_ns": time.perf_counter_ns()}


def since(before: dict[str, int]) -> dict[str, int]:
    """The same since a mark."""
    after = usage()
    return {name: after[name] - before[name] for name in after}


def time_runs(case: Case, iterations: int) -> dict[str, int]:
    """So many runs."""
    run = case.run
    before = usage()
    for _ in range(iterations):
        run()
    return since(before)


def time_calls(case: Case, shape: tuple[int, ...], calls: int, most_ns: float
               ) -> tuple[dict, np.ndarray]:
    """Calls one by one, no longer than so many ns, and how long each took in ns."""
    random = np.random.default_rng(1)
    inputs = random.uniform(-1, 1, (STREAM_INPUTS, *shape)).astype(np.float32)
    clock, durations = time.perf_counter_ns, []
    for number in range(WARM_UP_CALLS):
        case.step(inputs[number])
    before = usage()
    until = clock() + most_ns
    for number in range(calls):
        x = inputs[number % STREAM_INPUTS]
        start = clock()
        case.step(x)
        end = clock()
        durations.append(end - start)
        if end > until and number > 0:
            break
    nothing = np.median([-(clock() - clock()) for _ in range(1001)])
    return since(before) | {"clock_ns": float(nothing)}, np.array(durations, np.float32)


class Program:
    """Answers requests about the case that was loaded last."""

    def __init__(self, load: Callable[[dict, dict[str, np.ndarray]], Case]):
        self.load_case, self.case, self.folder = load, None, Path()
        self.shape: tuple[int, ...] = ()  # of the input

    def load(self, request: dict) -> dict:
        """The layer of the request, with the tensors of its folder."""
        self.folder = Path(request["folder"])
        tensors = {path.stem: np.load(path) for path in self.folder.glob("*.npy")}
        self.shape = tensors["x"].shape if "x" in tensors else ()
        self.case = self.load_case(request, tensors)
        return {}

    def run(self, request: dict) -> dict:
        """Time of all iterations."""
        return time_runs(self.case, request["iterations"])

    def outputs(self, _request: dict) -> dict:
        """Outputs as files."""
        for name, array in self.case.outputs().items():
            np.save(self.folder / f"{name}.npy", np.ascontiguousarray(array, np.float32))
        return {}

    def stream(self, request: dict) -> dict:
        """Time of all calls, and that of each as a file."""
        answer, durations = time_calls(self.case, self.shape, request["calls"], request["ns"])
        np.save(self.folder / "durations.npy", durations)
        return answer


def serve(about: Callable[[], dict], load: Callable[[dict, dict[str, np.ndarray]], Case]) -> None:
    """Say what there is, then answer line by line until there are no more."""
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    def say(answer: dict) -> None:
        lines.write(json.dumps(answer) + "\n")
        lines.flush()

    try:
        say(about())
    except Exception as error:  # pylint: disable=broad-except  # it goes to the other side
        say({"error": str(error)})
        return
    program = Program(load)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            say(getattr(program, request["do"])(request))
        except Exception as error:  # pylint: disable=broad-except
            say({"error": f"{type(error).__name__}: {error}"})
