"""Time torch.nn's layers in one thread on one core, as seqbench times its kernels.

  peer_torch.py run [options of seqbench run] -o DIR
  peer_torch.py run --resume DIR [--pause-after n]

Cells, rounds and core are those that `seqbench plan` and `seqbench host` give for the same options;
SEQBENCH names the program. The folder has the files of a run. scripts/turns can drive this.
"""
from __future__ import annotations

import argparse
import csv
import ctypes
import fcntl
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

from seqbench.read import hosts, runs

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
CHECKED_SEQ_LEN = 128  # longer cells are checked at this SeqLen

# Matrix flops and floats of parameters, inputs and outputs of one run, by S and H.
COSTS: dict[str, tuple[Callable, Callable]] = {
    "rnn": (lambda S, H: 4 * S * H**2, lambda S, H: 2 * H**2 + H + 2 * S * H),
    "lstm": (lambda S, H: 16 * S * H**2, lambda S, H: 8 * H**2 + 5 * H + 2 * S * H),
    "gru": (lambda S, H: 12 * S * H**2, lambda S, H: 6 * H**2 + 4 * H + 2 * S * H),
    "transformer": (lambda S, H: 24 * S * H**2 + 4 * S**2 * H,
                    lambda S, H: 12 * H**2 + 13 * H + 2 * S * H),
    "decode": (lambda S, H: 24 * H**2 + 4 * S * H,
               lambda S, H: 12 * H**2 + 13 * H + 2 * S * H + 4 * H),
}
METHODS = {
    "rnn": "torch.nn.RNN", "lstm": "torch.nn.LSTM", "gru": "torch.nn.GRU",
    "transformer": "torch.nn.TransformerEncoderLayer, eval mode",
    "decode": "torch: layer_norm, linear, matmul, softmax and gelu over a cache",
}
ONE_TOKEN = {"decode"}  # a run makes one token against a cache of S
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMEXPR_NUM_THREADS": "1", "NUMEXPR_MAX_THREADS": "1"}
OPTIONS = {"kernels": "-k", "grid": "-g", "seq_len": "-S", "hid_size": "-H", "heads": "--heads",
           "rounds": "--rounds", "cpu": "--cpu"}
TORCH = None  # imported by use_torch


def use_torch():
    """Import torch, in one thread and without subnormal numbers."""
    global TORCH  # it takes seconds to import: only what needs it does
    if TORCH is None:
        os.environ.update(ONE_THREAD)
        try:
            import torch
        except ImportError as error:
            raise runs.RunError(f"torch: {error}: `make deps-peers` installs it") from error
        torch.set_num_threads(1)
        TORCH = torch
    return TORCH


# ---- layers ------------------------------------------------------------------------------------


def parameters_of(layer: str, t: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """torch's names for the parameters of a layer; of two biases the second is 0."""
    if layer == "transformer":
        names = {"self_attn.in_proj_weight": "Wqkv", "self_attn.in_proj_bias": "bqkv",
                 "self_attn.out_proj.weight": "Wo", "self_attn.out_proj.bias": "bo",
                 "linear1.weight": "W1", "linear1.bias": "b1", "linear2.weight": "W2",
                 "linear2.bias": "b2", "norm1.weight": "ln1_g", "norm1.bias": "ln1_b",
                 "norm2.weight": "ln2_g", "norm2.bias": "ln2_b"}
        return {ours: t[name] for ours, name in names.items()}
    second = np.zeros_like(t["b"])
    if layer == "gru":
        second[-len(t["bn"]):] = t["bn"]
    return {"weight_ih_l0": t["W"], "weight_hh_l0": t["U"], "bias_ih_l0": t["b"],
            "bias_hh_l0": second}


def decode_step(hid_size: int, heads: int, arrays: dict[str, np.ndarray]) -> Callable:
    """One token of a pre-norm block: writes its key and value into the cache, attends, and FFN."""
    torch = use_torch()
    functional = torch.nn.functional
    t = {name: torch.from_numpy(array) for name, array in arrays.items()}
    size = hid_size // heads
    keys, values = t["k_cache"].clone(), t["v_cache"].clone()

    def step(x):
        normed = functional.layer_norm(x, (hid_size,), t["ln1_g"], t["ln1_b"])
        q, k, v = functional.linear(normed, t["Wqkv"], t["bqkv"]).view(3, heads, 1, size)
        keys[:, -1:], values[:, -1:] = k, v
        weights = torch.softmax(torch.matmul(q * size ** -0.5, keys.transpose(1, 2)), -1)
        context = torch.matmul(weights, values).view(1, hid_size)
        x = x + functional.linear(context, t["Wo"], t["bo"])
        normed = functional.layer_norm(x, (hid_size,), t["ln2_g"], t["ln2_b"])
        hidden = functional.gelu(functional.linear(normed, t["W1"], t["b1"]), approximate="tanh")
        return x + functional.linear(hidden, t["W2"], t["b2"])

    return step


def make_module(layer: str, hid_size: int, heads: int, t: dict[str, np.ndarray]):
    """torch's module with these parameters."""
    torch = use_torch()
    if layer == "decode":
        return decode_step(hid_size, heads, t)
    if layer == "transformer":
        module = torch.nn.TransformerEncoderLayer(hid_size, heads, 4 * hid_size, dropout=0.0,
                                                  batch_first=True)
    else:
        kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[layer]
        module = kind(hid_size, hid_size, batch_first=True)
    state = {name: torch.from_numpy(value) for name, value in parameters_of(layer, t).items()}
    module.load_state_dict(state, strict=True)
    return module.eval().requires_grad_(False)


def outputs_of(layer: str, result) -> dict:
    """A module's result by our names of the outputs."""
    if layer in ("transformer", "decode"):
        return {"y": result[0]}
    if layer == "lstm":
        return {"y": result[0][0], "c_last": result[1][1][0, 0]}
    return {"y": result[0][0]}


def dump(kernel: str, seq_len: int, hid_size: int, heads: int, seed: int) -> dict[str, np.ndarray]:
    """The tensors of one case of seqbench: inputs, parameters and outputs."""
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case"
        ask_seqbench(["dump", "-k", kernel, "-S", seq_len, "-H", hid_size, "--heads", heads,
                      "--seed", seed, "-o", case])
        return {path.stem: np.load(path) for path in case.glob("*.npy")}


def check(layer: str, seq_len: int, hid_size: int, heads: int, t: dict) -> float:
    """Largest difference between torch's outputs and ours, as bench/check/check.c measures it."""
    torch = use_torch()
    module = make_module(layer, hid_size, heads, t)
    with torch.inference_mode():
        outputs = outputs_of(layer, module(torch.from_numpy(t["x"])[None]))
    return max(float(np.abs(output.numpy() - t[name]).max() / max(1.0, np.abs(t[name]).max()))
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


def planned_cells(plan: list[dict], kernels: dict[str, dict]) -> tuple[list[tuple], int]:
    """Layer, S, H, heads of every case that torch has too, and the number of rounds."""
    cells = {(kernels[row["kernel"]]["layer"], int(row["seq_len"]), int(row["hid_size"]),
              int(row["heads"]))
             for row in plan if kernels[row["kernel"]]["kind"] == "layer"}
    known = sorted(cell for cell in cells if cell[0] in METHODS)
    if not known:
        raise runs.RunError(f"torch has none of these layers; it has {', '.join(METHODS)}")
    return known, 1 + max(int(row["round"]) for row in plan)


def make_plan(cells: list[tuple], rounds: int, seed: int) -> list[tuple]:
    """Rows of plan.csv: every round visits every cell once, in its own order."""
    visits = []
    for number in range(rounds):
        order = list(cells)
        random.Random(f"{seed} {number}").shuffle(order)
        visits += [(number, *cell) for cell in order]
    return [(i, number, f"{layer}/{ENGINE}", *sizes)
            for i, (number, layer, *sizes) in enumerate(visits)]


# ---- a run folder ------------------------------------------------------------------------------


def csv_rows(rows: list) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_csv(folder: Path, name: str, rows: list) -> None:
    """A whole file, with the header of the data dictionary."""
    runs.write_text(folder / name, csv_rows([list(runs.schema(runs.README, name)), *rows]))


def check_rows(cells: list[tuple], first: dict[str, str], seed: int) -> list[tuple]:
    """Rows of checks.csv: every HidSize and head count, at the SeqLens that are not too long."""
    shapes = sorted({(layer, min(S, CHECKED_SEQ_LEN), H, A) for layer, S, H, A in cells})
    rows = []
    for layer, *sizes in shapes:
        error = check(layer, *sizes, dump(first[layer], *sizes, seed))
        verdict = "PASS" if error <= BOUND else "FAIL"
        text = f"{error:.3g}" if np.isfinite(error) else ""
        rows.append((f"{layer}/{ENGINE}", *sizes, text, f"{BOUND:g}", verdict))
    return rows


def describe(options: argparse.Namespace, cells: list[tuple], rounds: int, first: dict) -> dict:
    """host.json: the machine as seqbench sees it, and torch."""
    torch = use_torch()
    host = json.loads(ask_seqbench(["host"]))
    if options.cpu is not None:
        host["cpu"]["measured_core"] = options.cpu
    host["libraries"]["torch"] = torch.__version__
    host["libraries"]["torch_config"] = " ".join(torch.__config__.show().split())
    host["libraries"]["torch_threads"] = torch.get_num_threads()
    host["libraries"]["torch_mkldnn"] = torch.backends.mkldnn.is_available()
    host["run"] = {
        "started_utc": utc_now(), "kernels": options.kernels, "grid": options.grid,
        "seq_len": sorted({cell[1] for cell in cells}),
        "hid_size": sorted({cell[2] for cell in cells}),
        "heads": [int(text) for text in options.heads.split(",")] if options.heads
                 else "by HidSize",
        "rounds": rounds, "samples": options.samples, "until": runs.UNTIL, "budget_s": 0,
        "cache": "hot", "seed": str(options.seed), "flush_to_zero": True, "parameters_of": first,
    }
    return host


def kernel_rows(kernels: dict[str, dict], first: dict[str, str]) -> list[list]:
    """Rows of kernels.csv: those of our first variants, with torch's names."""
    rows = []
    for layer, kernel in first.items():
        row = kernels[kernel] | {"kernel": f"{layer}/{ENGINE}", "variant": ENGINE,
                                 "engine": ENGINE, "method": METHODS[layer]}
        rows.append(list(row.values()))
    return rows


def create(options: argparse.Namespace) -> Path:
    """Make the folder of a new run; nothing stays when a check fails."""
    chosen = [text for name in ("grid", "kernels", "seq_len", "hid_size", "heads", "rounds", "cpu")
              if (value := getattr(options, name)) is not None
              for text in (OPTIONS[name], value)]
    kernels = {row["kernel"]: row for row in table(ask_seqbench(["list", "--csv"]))}
    plan = table(ask_seqbench(["plan", *chosen]))
    cells, rounds = planned_cells(plan, kernels)
    first = {layer: next(name for name, row in kernels.items()
                         if row["layer"] == layer and row["kind"] == "layer")
             for layer in METHODS if layer in {cell[0] for cell in cells}}
    host = describe(options, cells, rounds, first)
    pin(host["cpu"]["measured_core"])
    checks = check_rows(cells, first, options.seed)
    failed = [row for row in checks if row[-1] == "FAIL"]
    if failed:
        raise runs.RunError(f"{failed[0][0]} S={failed[0][1]} H={failed[0][2]}: its output is not "
                            f"ours (error {failed[0][4]}); nothing was timed")
    try:
        options.folder.mkdir(parents=True)
    except OSError as error:
        raise runs.RunError(f"{options.folder}: {error.strerror}") from error
    write_csv(options.folder, "plan.csv", make_plan(cells, rounds, options.seed))
    write_csv(options.folder, "kernels.csv", kernel_rows(kernels, first))
    write_csv(options.folder, "checks.csv", checks)
    runs.write_text(options.folder / "host.json", json.dumps(host, indent="\t") + "\n")
    write_csv(options.folder, "samples.csv", [])
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
        row |= examine(outputs_of(self.layer, result))
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


def sample_rows(visit: dict, samples: list[dict]) -> list[list]:
    """Rows of samples.csv; what torch's side cannot tell is empty or unavailable."""
    layer = visit["kernel"].split("/")[0]
    S, H = int(visit["seq_len"]), int(visit["hid_size"])
    flops, floats = COSTS[layer]
    types = runs.schema(runs.README, "samples.csv")
    unknown = {name: "unavailable" if kind.startswith("count") else ""
               for name, kind in types.items()}
    rows = []
    for number, sample in enumerate(samples):
        row = unknown | visit | sample | {
            "kind": "layer", "layer": layer, "variant": ENGINE, "cache": "hot", "sample": number,
            "flops": flops(S, H), "bytes": 4 * floats(S, H), "status": "ok", "error": ""}
        rows.append([row[name] for name in types])
    return rows


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
    torch = use_torch()
    host = hosts.load(folder)
    core, options = host["cpu"]["measured_core"], host["run"]
    pin(core)
    torch.set_flush_denormal(True)
    seed = int(options["seed"])
    parameters = {}
    for visit in unfinished(folder):
        if int(visit["round"]) != number:
            continue
        layer = visit["kernel"].split("/")[0]
        S, H, A = (int(visit[name]) for name in ("seq_len", "hid_size", "heads"))
        is_one_token = layer in ONE_TOKEN
        sizes = (S if is_one_token else 1, H, A)  # a cache is as long as the context
        parameters[layer, sizes] = parameters.get((layer, sizes)) or dump(
            options["parameters_of"][layer], *sizes, seed)
        module = make_module(layer, H, A, parameters[layer, sizes])
        shape = (1, H) if is_one_token else (1, S, H)
        x = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
        with torch.inference_mode():
            samples = Visit(module, layer, torch.from_numpy(x), core).samples(options["samples"])
        if len(os.listdir("/proc/self/task")) > 1:
            raise runs.RunError(f"{visit['kernel']} S={S} H={H}: torch has started a thread")
        with open(folder / "samples.csv", "a", encoding="utf-8") as file:
            file.write(csv_rows(sample_rows(visit, samples)))


def lock(core: int, folder: Path, wait_s: int):
    """The lock that seqbench holds while it measures on a core; keep what is returned."""
    path = f"{os.environ.get('SEQBENCH_LOCKS', '/tmp')}/seqbench-core-{core}.lock"
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")
    except OSError as error:
        raise runs.RunError(f"{path}: {error.strerror}") from error
    for left in range(10 * wait_s, -1, -1):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if left == 0:
                raise runs.RunError(f"core {core} is measured by {file.read().strip()}; wait for "
                                    "it with --wait SECONDS") from error
            time.sleep(0.1)
    file.truncate(0)
    file.write(f"process {os.getpid()}, into {folder}\n")
    file.flush()
    return file


def conduct(folder: Path, pause_after: int | None, wait_s: int) -> None:
    """All rounds that are left, or so many; the folder's name when none is left."""
    held = lock(hosts.load(folder)["cpu"]["measured_core"], folder, wait_s)
    rounds = sorted({int(visit["round"]) for visit in unfinished(folder)})
    for number in rounds[:pause_after]:
        done = subprocess.run([sys.executable, "-B", COMMAND, "round", str(folder), str(number)],
                              env=os.environ | ONE_THREAD)
        if done.returncode != 0:
            raise runs.RunError(f"{folder}: round {number} ended with status {done.returncode}")
    held.close()
    if pause_after and len(rounds) >= pause_after:
        print(f"peer_torch.py: paused; go on with `run --resume {folder}`", file=sys.stderr)
    else:
        print(folder)
