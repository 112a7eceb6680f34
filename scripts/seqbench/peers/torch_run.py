"""Time torch.nn's layers in one thread on one core, as seqbench times its kernels.

  peer_torch.py run [options of seqbench run] -o DIR
  peer_torch.py stream [options of seqbench run] [--calls n] [--seconds n] -o DIR
  peer_torch.py run --resume DIR [--pause-after n]

Cells, rounds and core are those that `seqbench plan` and `seqbench host` give for the same options;
SEQBENCH names the program. The folder has the files of a run. scripts/turns can drive this.
"""
from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import fcntl
import functools
import hashlib
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from seqbench.peers import torch_eager, torch_layers
from seqbench.read import dimensions, hosts, runs
from seqbench.tables import streams

ROOT = Path(__file__).resolve().parents[3]
COMMAND = ROOT / "scripts" / "peer_torch.py"  # starts each round again
SEQBENCH = os.environ.get("SEQBENCH") or str(ROOT / "build" / "seqbench")
ENGINE = "torch"

# As in bench/run/round.c.
SAMPLE_NS = 10e6
WARM_UP_NS = 5e6
OWN_WARM_UP_NS = 100e6
LOST = 0.01
RETRIES = 2

BOUND = 1e-5  # largest difference from seqbench's outputs, over max(1, largest value)
NARROW_BOUND = {"bf16": 2e-2, "int8": 5e-2}  # the same where weights, inputs and states are rounded
CHECKED_SEQ_LEN = 128  # longer cells are checked at this SeqLen
CHECKED_STEPS = 8  # of a stream
WARM_UP_CALLS = 8  # of a stream; as in bench/run/stream.c
INPUTS = 64

BYTES = {"bf16": 2, "int8": 1}  # of a weight
# Options of `seqbench plan` that host.json tells; others are passed on as they are.
OPTIONS = {"kernels": "-k", "grid": "-g", "heads": "--heads", "engines": "--engine", "cpu": "--cpu"}


# ---- cases of seqbench --------------------------------------------------------------------------


def dump(kernel: str, sizes: dict[str, int], seed: int) -> tuple[dict, dict[str, np.ndarray]]:
    """case.json and the tensors of one case of seqbench: inputs, parameters and outputs."""
    chosen = [word for name, size in sizes.items() if size
              for word in (dimensions.OPTIONS[name], size)]
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case"
        ask_seqbench(["dump", "-k", kernel, *chosen, "--seed", seed, "-o", case])
        arrays = {path.stem: np.load(path) for path in case.glob("*.npy")}
        return json.loads(runs.read_text(case / "case.json")), arrays


def costs_of(case: dict, arrays: dict[str, np.ndarray]) -> dict[str, int]:
    """Columns of samples.csv from case.json and the tensors."""
    cost = dict(case["cost"])
    given = {*case["inputs"], *case["outputs"]}
    parameters = sum(array.size for name, array in arrays.items() if name not in given)
    return {"flops": 2 * cost.pop("multiply_adds"), "elementwise_flops": cost.pop("elementwise"),
            **cost, "parameters": parameters,
            "bytes": sum(array.nbytes for array in arrays.values())}


def check(layer: str, sizes: dict[str, int], arrays: dict[str, np.ndarray],
          make: Callable = torch_layers.make_module) -> float:
    """Largest difference between torch's outputs and ours, as bench/check/check.c measures it."""
    torch = torch_layers.use_torch()
    module = make(layer, sizes["hid_size"], sizes["heads"], arrays)
    with torch.inference_mode():
        outputs = torch_layers.outputs_of(layer, module(torch_layers.input_of(layer, sizes, arrays["x"])))
    return max(float(np.abs(output.numpy().reshape(arrays[name].shape) - arrays[name]).max()
                     / max(1.0, np.abs(arrays[name]).max()))
               for name, output in outputs.items())


# ---- what seqbench knows -----------------------------------------------------------------------


def ask_seqbench(arguments: list) -> str:
    """What seqbench prints."""
    try:
        done = subprocess.run([SEQBENCH, *map(str, arguments)], capture_output=True, text=True)
    except OSError as error:
        raise runs.RunError(f"{SEQBENCH}: {error.strerror}") from error
    if done.returncode != 0:
        raise runs.RunError((done.stderr.strip().splitlines() or [f"{SEQBENCH} failed"])[-1])
    return done.stdout


def table(text: str) -> list[dict]:
    """CSV text as rows."""
    return list(csv.DictReader(io.StringIO(text)))


def planned_cells(plan: list[dict], kernels: list[dict],
                  methods: dict[str, str]) -> tuple[list[tuple], int]:
    """Layer and sizes of every case that torch has too, and the number of rounds."""
    layers = {row["kernel"]: row["layer"] for row in kernels if row["kind"] == "layer"}
    cells = {(layers[row["kernel"]], *(int(row[name]) for name in runs.DIMENSIONS))
             for row in plan if row["kernel"] in layers}
    known = sorted(cell for cell in cells if cell[0] in methods)
    if not known:
        raise runs.RunError(f"torch has none of these layers; it has {', '.join(methods)}")
    taken = [cell for cell in known if not dict(zip(runs.DIMENSIONS, cell[1:]))["window"]]
    if len(taken) < len(known):
        print(f"peer_torch.py: left out: {len(known) - len(taken)} of {len(known)} cells, which have a "
              "window: what is made of torch here sees all keys", file=sys.stderr)
    if not taken:
        raise runs.RunError("no cell is left without a window")
    return taken, 1 + max(int(row["round"]) for row in plan)


def kernel_name(layer: str, engine: str) -> str:
    """lstm/torch, lstm/torch_int8"""
    return f"{layer}/{engine.replace('-', '_')}"


def make_plan(cells: list[tuple], rounds: int, seed: int, engine: str = ENGINE) -> list[dict]:
    """Rows of plan.csv: every round visits every cell once, in its own order."""
    visits = []
    for number in range(rounds):
        order = list(cells)
        random.Random(f"{seed} {number}").shuffle(order)
        visits += [(number, *cell) for cell in order]
    return [{"order": i, "round": number, "kernel": kernel_name(layer, engine), "engine": engine,
             **dict(zip(runs.DIMENSIONS, sizes))}
            for i, (number, layer, *sizes) in enumerate(visits)]


def likest(kernels: list[dict], layer: str) -> dict:
    """Our kernel that is most like torch's: over OpenBLAS, whole products where it can."""
    found = [row for row in kernels if row["kind"] == "layer" and row["layer"] == layer
             and row["engine"] == "openblas"]
    return min(found, key=lambda row: (row["products"] == "step", row["parts"] == "yes"))


# ---- a run folder ------------------------------------------------------------------------------


def csv_rows(name: str, rows: list[dict], is_new: bool) -> str:
    """Rows as CSV with the columns of the data dictionary, under a header or not."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(runs.schema(runs.README, name)), lineterminator="\n")
    if is_new:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def add_rows(folder: Path, name: str, rows: list[dict]) -> None:
    """Rows behind those of a file."""
    with open(folder / name, "a", encoding="utf-8") as file:
        file.write(csv_rows(name, rows, is_new=False))


def write_csv(folder: Path, name: str, rows: list[dict]) -> None:
    """A whole file."""
    runs.write_text(folder / name, csv_rows(name, rows, is_new=True))


def precision_of(engines: str) -> str:
    """bf16 or int8, if that is how the names of all these engines end."""
    endings = {name.rpartition("-")[2] if "-" in name else "" for name in engines.split(",")}
    (ending,) = endings if len(endings) == 1 else ("",)
    return ending if ending in torch_layers.NARROW_METHODS else ""


def maker(is_stream: bool, engine: str) -> Callable:
    """Who makes what is timed."""
    if is_stream:
        return torch_layers.Cell
    precision = precision_of(engine)
    return (functools.partial(torch_layers.make_narrow_module, precision) if precision
            else torch_layers.make_module)


def check_rows(cells: list[tuple], like: dict[str, str], seed: int, steps: bool,
               engine: str) -> list[dict]:
    """Rows of checks.csv: every cell, those of a long SeqLen at a shorter one; or its steps."""
    bound = NARROW_BOUND.get(precision_of(engine), BOUND)
    shapes = {}
    for layer, *values in cells:
        sizes = dict(zip(runs.DIMENSIONS, values))
        sizes["seq_len"] = CHECKED_STEPS if steps else min(sizes["seq_len"], CHECKED_SEQ_LEN)
        shapes[(layer, *sizes.values())] = sizes
    rows = []
    for (layer, *_), sizes in sorted(shapes.items(), key=lambda item: item[0]):
        error = check(layer, sizes, dump(like[layer], sizes, seed)[1],
                      maker(steps, engine))
        rows.append({"kernel": kernel_name(layer, engine), "engine": engine, **sizes,
                     "error": f"{error:.3g}" if np.isfinite(error) else "", "bound": f"{bound:g}",
                     "verdict": "PASS" if error <= bound else "FAIL"})
    return rows


def describe(options: argparse.Namespace, plan: list[dict], like: dict[str, str]) -> dict:
    """host.json: the machine as seqbench sees it, and torch."""
    torch = torch_layers.use_torch()
    host = json.loads(ask_seqbench(["host"]))
    if options.cpu is not None:
        host["cpu"]["measured_core"] = options.cpu
    host["libraries"]["torch"] = torch.__version__
    host["libraries"]["torch_config"] = " ".join(torch.__config__.show().split())
    host["libraries"]["torch_threads"] = torch.get_num_threads()
    host["libraries"]["torch_mkldnn"] = torch.backends.mkldnn.is_available()
    host["run"] = {
        "started_utc": utc_now(), "kernels": options.kernels, "engines": options.engines or "",
        "grid": options.grid, "seq_len": sorted({row["seq_len"] for row in plan}),
        "hid_size": sorted({row["hid_size"] for row in plan}),
        **{name: sorted({row[name] for row in plan}) for name in ("batch", *dimensions.OPTIONAL)},
        "heads": [int(text) for text in options.heads.split(",")] if options.heads
                 else "by HidSize",
        "rounds": 1 + plan[-1]["round"], "samples": options.samples, "until": runs.UNTIL,
        "budget_s": 0, "cache": "hot", "seed": str(options.seed),
        "flush_to_zero": "--no-ftz" not in options.others, "parameters_of": like,
    }
    if options.command == "stream":
        host["run"] |= {"conditions": "hot", "calls": options.calls, "seconds": options.seconds}
    return host


def kernel_rows(like: dict[str, dict], methods: dict[str, str], engine: str = ENGINE) -> list[dict]:
    """Rows of kernels.csv: those of our kernels, with torch's names."""
    precision = precision_of(engine)
    narrow = {"bytes_per_weight": BYTES[precision], "packing": "before"} if precision else {}
    return [row | {"kernel": kernel_name(layer, engine), "engine": engine,
                   "variant": kernel_name(layer, engine).split("/")[1], "parts": "no",
                   "method": methods[layer], **narrow}
            for layer, row in like.items()]


def create(options: argparse.Namespace) -> Path:
    """Make the folder of a new run; nothing stays when a check fails."""
    chosen = [text for name, option in OPTIONS.items()
              if (value := getattr(options, name)) is not None for text in (option, value)]
    is_stream = options.command == "stream"
    precision = precision_of(options.engines or "")
    engine = f"{ENGINE}-{precision}" if precision else ENGINE
    methods = (torch_layers.CELLS if is_stream
               else torch_layers.NARROW_METHODS.get(precision, torch_layers.METHODS))
    kernels = table(ask_seqbench(["list", "--csv"]))
    ours = table(ask_seqbench(["plan", *chosen, *options.others]))
    layers = {row["kernel"].split("/")[0] for row in ours}
    if not is_stream and not layers & set(methods) and layers & set(torch_eager.METHODS):
        engine, methods = torch_eager.ENGINE, torch_eager.METHODS
    cells, rounds = planned_cells(ours, kernels, methods)
    rows = {layer: likest(kernels, layer) for layer in methods
            if layer in {cell[0] for cell in cells}}
    like = {layer: row["kernel"] for layer, row in rows.items()}
    if is_stream and any(cell[1] != 1 for cell in cells):
        raise runs.RunError("torch's cells take one token per call: -S 1 or a grid of it")
    plan = make_plan(cells, rounds, options.seed, engine)
    host = describe(options, plan, like)
    pin(host["cpu"]["measured_core"])
    checks = check_rows(cells, like, options.seed, is_stream, engine)
    failed = [row for row in checks if row["verdict"] == "FAIL"]
    if failed:
        raise runs.RunError("{kernel} S={seq_len} H={hid_size}: its output is not ours (error "
                            "{error}); nothing was timed".format(**failed[0]))
    try:
        options.folder.mkdir(parents=True)
    except OSError as error:
        raise runs.RunError(f"{options.folder}: {error.strerror}") from error
    write_csv(options.folder, "plan.csv", plan)
    write_csv(options.folder, "kernels.csv", kernel_rows(rows, methods, engine))
    write_csv(options.folder, "checks.csv", checks)
    runs.write_text(options.folder / "host.json", json.dumps(host, indent="\t") + "\n")
    write_csv(options.folder, "samples.csv", [])
    if is_stream:
        write_csv(options.folder, "calls.csv", [])
    return options.folder


# ---- evidence of a sample ----------------------------------------------------------------------


def utc_now() -> str:
    """As in samples.csv."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pin(core: int) -> None:
    """Bind this process to a core."""
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        raise runs.RunError(f"cannot pin to core {core}: {error.strerror}") from error


def steal_ticks(core: int) -> int | None:
    """Time that the hypervisor took from a core so far."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            fields = next(line.split() for line in file if line.startswith(f"cpu{core} "))
        return int(fields[8])
    except (OSError, StopIteration, IndexError):
        return None


LIBC = ctypes.CDLL(None)


def mark(core: int) -> dict:
    """Counters before or after a sample."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": LIBC.sched_getcpu(), "voluntary_switches": usage.ru_nvcsw,
            "involuntary_switches": usage.ru_nivcsw, "minor_faults": usage.ru_minflt,
            "major_faults": usage.ru_majflt, "steal_ticks": steal_ticks(core),
            "cpu_ns": time.process_time_ns(), "wall_ns": time.perf_counter_ns()}


def between(before: dict, after: dict) -> dict:
    """Columns of samples.csv from two marks."""
    row = {name: after[name] - before[name] for name in before
           if name not in ("cpu", "steal_ticks")}
    known = before["steal_ticks"] is not None and after["steal_ticks"] is not None
    row["steal_ticks"] = after["steal_ticks"] - before["steal_ticks"] if known else "unavailable"
    return row | {"cpu_before": before["cpu"], "cpu_after": after["cpu"]}


def flags_of(row: dict, core: int, first_checksum: str) -> str:
    """The rules of results/README.md that need neither clock nor sentinel."""
    stolen = row["steal_ticks"] if row["steal_ticks"] != "unavailable" else 0
    stolen_ns = 1e9 * stolen / os.sysconf("SC_CLK_TCK")
    rules = {
        "migration": not row["cpu_before"] == row["cpu_after"] == core,
        "switch": row["involuntary_switches"] > 0
        and row["wall_ns"] - row["cpu_ns"] > LOST * row["wall_ns"],
        "steal": stolen_ns > LOST * row["wall_ns"],
        "output": row["checksum"] != first_checksum,
    }
    return "+".join(name for name, broken in rules.items() if broken)


def examine(outputs: dict) -> dict:
    """Subnormals, values that are not finite, and a checksum of the outputs."""
    arrays = [np.ascontiguousarray(output.numpy()) for output in outputs.values()]
    bits = [array.view(np.uint32) & 0x7fffffff for array in arrays]
    digest = hashlib.blake2b(b"".join(array.tobytes() for array in arrays), digest_size=8)
    return {"subnormals": sum(int(((b > 0) & (b < 0x00800000)).sum()) for b in bits),
            "nonfinite": sum(int((b >= 0x7f800000).sum()) for b in bits),
            "checksum": digest.hexdigest()}


# ---- one visit ---------------------------------------------------------------------------------


class Visit:
    """A case that is being timed."""

    def __init__(self, module, layer: str, x, core: int):
        self.module, self.layer, self.x, self.core = module, layer, x, core
        self.checksum = None  # of the first run

    def sample(self, iterations: int) -> dict:
        """Time so many runs."""
        module, x = self.module, self.x
        started = utc_now()
        before = mark(self.core)
        for _ in range(iterations):
            result = module(x)
        row = between(before, mark(self.core))
        row |= examine(torch_layers.outputs_of(self.layer, result))
        self.checksum = self.checksum or row["checksum"]
        return row | {"iterations": iterations, "started_utc": started,
                      "flags": flags_of(row, self.core, self.checksum)}

    def warm_up(self) -> float:
        """Run for WARM_UP_NS; time of one run."""
        start, runs_made, batch = time.perf_counter_ns(), 0, 1
        while True:
            for _ in range(batch):
                self.module(self.x)
            runs_made, batch = runs_made + batch, 2 * batch
            elapsed = time.perf_counter_ns() - start
            if elapsed >= WARM_UP_NS:
                return elapsed / runs_made

    def long_sample(self, run_ns: float) -> dict:
        """A sample of at least SAMPLE_NS."""
        while True:
            row = self.sample(max(1, int(np.ceil(1.1 * SAMPLE_NS / run_ns))))
            if row["wall_ns"] >= SAMPLE_NS:
                return row
            run_ns = max(row["wall_ns"] / row["iterations"], 0.01)

    def samples(self, wanted: int) -> list[dict]:
        """All samples of the visit; a run of OWN_WARM_UP_NS or more is a sample itself."""
        first = self.sample(1)
        rows = []
        if first["wall_ns"] >= OWN_WARM_UP_NS:
            rows, run_ns, wanted = [first], first["wall_ns"], 1
        else:
            run_ns = self.warm_up()
        while sum(not row["flags"] for row in rows) < wanted and len(rows) < wanted + RETRIES:
            rows.append(self.long_sample(run_ns))
            run_ns = rows[-1]["wall_ns"] / rows[-1]["iterations"]
            wanted = 1 if run_ns >= OWN_WARM_UP_NS else wanted
        return rows


def stream(cell: torch_layers.Cell, x, core: int, calls: int, seconds: float) -> tuple[dict, str]:
    """Time so many calls one by one, no longer than so many seconds; a sample and a histogram."""
    inputs = torch_layers.use_torch().rand(INPUTS, *x.shape[::2]) * 2 - 1
    for number in range(WARM_UP_CALLS):
        cell.step(inputs[number])
    clock, durations = time.perf_counter_ns, []
    started, before = utc_now(), mark(core)
    until = clock() + 1e9 * seconds
    for number in range(calls):
        token = inputs[number % INPUTS]
        start = clock()
        cell.step(token)
        end = clock()
        durations.append(end - start)
        if end > until:
            break
    row = between(before, mark(core))
    state = cell.state if isinstance(cell.state, tuple) else (cell.state,)
    row |= examine(dict(enumerate(state)))
    row |= {"iterations": len(durations), "started_utc": started,
            "flags": flags_of(row, core, row["checksum"])}
    return row, streams.Histogram.of(np.array(durations)).text()


def clock_ns() -> float:
    """Median time measured around nothing."""
    clock = time.perf_counter_ns
    return float(np.median([-(clock() - clock()) for _ in range(1001)]))


def sample_rows(visit: dict, samples: list[dict], costs: dict[str, int]) -> list[dict]:
    """Rows of samples.csv; what torch's side cannot tell is empty or unavailable."""
    unknown = {name: "unavailable" if kind.startswith("count") else ""
               for name, kind in runs.schema(runs.README, "samples.csv").items()}
    return [unknown | visit | sample | costs | {
        "kind": "layer", "layer": visit["kernel"].split("/")[0],
        "variant": visit["kernel"].split("/")[1], "cache": "hot",
        "sample": number, "status": "ok"} for number, sample in enumerate(samples)]


# ---- rounds ------------------------------------------------------------------------------------


def unfinished(folder: Path) -> list[dict]:
    """The visits of the plan that have no rows yet; a line that was cut off goes."""
    path = folder / "samples.csv"
    text = runs.read_text(path)
    if not text.endswith("\n"):
        text = text[:text.rfind("\n") + 1]
        runs.write_text(path, text)
    done = {row["order"] for row in table(text)}
    return [row for row in table(runs.read_text(folder / "plan.csv")) if row["order"] not in done]


def run_round(folder: Path, number: int) -> None:
    """Visit what is left of a round; this is a process of its own."""
    torch = torch_layers.use_torch()
    host = hosts.load(folder)
    core, options = host["cpu"]["measured_core"], host["run"]
    pin(core)
    torch.set_flush_denormal(options["flush_to_zero"])
    seed = int(options["seed"])
    for visit in unfinished(folder):
        if int(visit["round"]) != number:
            continue
        layer = visit["kernel"].split("/")[0]
        sizes = {name: int(visit[name]) for name in runs.DIMENSIONS}
        case, arrays = dump(options["parameters_of"][layer], sizes, seed)
        make = maker("conditions" in options, visit["engine"])
        module = make(layer, sizes["hid_size"], sizes["heads"], arrays)
        x = torch_layers.input_of(layer, sizes, arrays["x"])
        with torch.inference_mode():
            if "conditions" in options:
                row, histogram = stream(module, x, core, -(-options["calls"] // options["rounds"]),
                                        options["seconds"] / options["rounds"])
                samples = [row]
                add_rows(folder, "calls.csv", [{"order": visit["order"], "sample": 0, "block": 0,
                                                "clock_ns": clock_ns(), "histogram": histogram}])
            else:
                samples = Visit(module, layer, x, core).samples(options["samples"])
        if len(os.listdir("/proc/self/task")) > 1:
            raise runs.RunError(f"{visit['kernel']} S={sizes['seq_len']} H={sizes['hid_size']}: "
                                "torch has started a thread")
        add_rows(folder, "samples.csv", sample_rows(visit, samples, costs_of(case, arrays)))


def open_lock(path: str) -> int:
    """The file that seqbench locks, for every user of the machine, as bench/run/lock.c opens it."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags)
    except FileNotFoundError:
        try:
            made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o666)
        except FileExistsError:
            return open_lock(path)
        with contextlib.suppress(OSError):  # then others can only read it, and lock it still
            os.fchmod(made, 0o666)  # whatever the umask
        return made
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)


def lock(core: int, folder: Path, wait_s: int) -> int:
    """The lock that seqbench holds while it measures on a core; close what is returned."""
    path = f"{os.environ.get('SEQBENCH_LOCKS', '/tmp')}/seqbench-core-{core}.lock"
    try:
        file = open_lock(path)
    except OSError as error:
        raise runs.RunError(f"{path}: {error.strerror}") from error
    for left in range(10 * wait_s, -1, -1):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if left == 0:
                holder = os.pread(file, 512, 0).decode(errors="replace").partition("\n")[0]
                os.close(file)
                raise runs.RunError(f"core {core} is measured by {holder or 'another run'}; wait "
                                    "for it with --wait SECONDS") from error
            time.sleep(0.1)
    with contextlib.suppress(OSError):  # it may be another user's, to be read only
        os.truncate(file, 0)
        os.pwrite(file, f"process {os.getpid()}, into {folder}\n".encode(), 0)
    return file


def conduct(folder: Path, pause_after: int | None, wait_s: int) -> None:
    """All rounds that are left, or so many; the folder's name when none is left."""
    held = lock(hosts.load(folder)["cpu"]["measured_core"], folder, wait_s)
    rounds = sorted({int(visit["round"]) for visit in unfinished(folder)})
    for number in rounds[:pause_after]:
        done = subprocess.run([sys.executable, "-B", COMMAND, "round", str(folder), str(number)],
                              env=os.environ | torch_layers.ONE_THREAD)
        if done.returncode != 0:
            raise runs.RunError(f"{folder}: round {number} ended with status {done.returncode}")
    os.close(held)
    if pause_after and len(rounds) >= pause_after:
        print(f"peer_torch.py: paused; go on with `run --resume {folder}`", file=sys.stderr)
    else:
        print(folder)
