#!/usr/bin/python3 -B
"""A peer for tests: an RNN in NumPy, and what a peer can do wrong, as its name says after a dash."""
import json
import os
import sys
import time

import numpy as np

FAULT = os.path.basename(sys.argv[0]).partition("-")[2].removesuffix(".py")


def say(answer):
    print(json.dumps(answer), flush=True)


def rnn(t, h):
    """All tokens of x[B,S,In] from h[B,H]; y[B,S,H]."""
    x = t["x"] if t["x"].ndim == 3 else t["x"][None]
    y = []
    for token in x.swapaxes(0, 1):
        h = np.tanh(token @ t["W"].T + h @ t["U"].T + t["b"])
        y.append(h)
    return np.stack(y, 1)


def answer(request, state):
    what = request["do"]
    if what == "load":
        if FAULT == "error":
            return {"error": "no room for it"}
        folder = state["folder"] = request["folder"]
        t = state["t"] = {name[:-4]: np.load(f"{folder}/{name}") for name in os.listdir(folder)}
        state["h"] = t["h0"].reshape(-1, t["h0"].shape[-1])
        if FAULT == "wrong":
            t["U"] = t["U"].T.copy()
        return {}
    if what == "run":
        if FAULT == "ends" and request["iterations"] > 1:
            sys.exit()
        start = time.perf_counter_ns()
        for _ in range(request["iterations"]):
            state["y"] = rnn(state["t"], state["h"])
        spent = time.perf_counter_ns() - start
        return {} if FAULT == "silent" else {"wall_ns": spent, "cpu_ns": spent, **DISTURBED}
    if what == "stream":
        t, durations, shape = state["t"], [], state["t"]["x"].shape
        random = np.random.default_rng(1)
        for _ in range(request["calls"]):
            t["x"] = random.uniform(-1, 1, shape).astype(np.float32)
            state["y"] = rnn(t, state["h"])
            state["h"] = state["y"][:, -1]
            durations.append(1000 + len(durations))
        np.save(f"{state['folder']}/durations.npy", np.array(durations, np.float32))
        return {"wall_ns": sum(durations), "cpu_ns": sum(durations), "clock_ns": 17, **DISTURBED}
    y = state["y"]
    np.save(f"{state['folder']}/y.npy", (y[:, :-1] if FAULT == "short" else y).astype(np.float32))
    return {}


DISTURBED = {"voluntary_switches": 6, "involuntary_switches": 7, "minor_faults": 8, "major_faults": 9}
KERNEL = {"layer": "rnn", "engine": "torch-fake", "method": "NumPy", "packing": "before"}
FAULTY = {"layer": KERNEL | {"layer": "perceptron"}, "weights": KERNEL | {"weights": "ternary"},
          "sizes": KERNEL | {"sizes": ["depth"]}, "input": KERNEL | {"sizes": ["input"]},
          "engine": KERNEL | {"engine": "a,b"}, "method": KERNEL | {"method": 'say "rnn"'}}
if FAULT == "nothing":
    sys.exit()
say({"error": "no library"} if FAULT == "about" else
    {"name": "Fake", "version": "1.2", "threads": 1, "kernels": [FAULTY.get(FAULT, KERNEL)]})
STATE = {}
for line in sys.stdin:
    say(answer(json.loads(line), STATE))
