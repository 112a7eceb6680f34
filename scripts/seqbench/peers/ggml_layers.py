"""Layers with the parameters of ours as graphs of ggml's operations, in the way its models have them."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seqbench.peers import ggml_library
from seqbench.peers.ggml_library import FLOAT, Graph, Tensor

Arrays = dict[str, np.ndarray]
Given = dict[str, Tensor]
Outputs = dict[str, Callable[[], np.ndarray]]
Ends = dict[str, Tensor]  # by the names of the states that a next call begins with
WKV_STEP = 64  # numbers that rwkv_wkv7 takes at once, also beyond the end of a shorter head
RANKS = {"x": 2, "x_before": 1, "window": 2, "h0": 2, "S0": 3, "k_cache": 3, "v_cache": 3}  # of one sequence


# ---- parts: tensors are [channels, tokens, sequences], or [channels, rows] ----------------------


def channels(g: Graph, x: Tensor, first: int, *sizes: int) -> Tensor:
    """Channels of each token from the first on, as [*sizes, tokens, sequences]."""
    strides = [FLOAT * math.prod(sizes[:n]) for n in range(1, len(sizes))]
    head = x.contents
    view = g.view_3d if len(sizes) == 1 else g.view_4d
    return view(x, *sizes, *head.ne[1:3], *strides, *head.nb[1:3], FLOAT * first)


def tokens(g: Graph, x: Tensor, first: int, count: int) -> Tensor:
    """Some tokens of each sequence."""
    head = x.contents
    return g.view_3d(x, head.ne[0], count, head.ne[2], *head.nb[1:3], first * head.nb[1])


def outputs_of(g: Graph, result: Tensor, size: int, padded: int, heads: int, rows: int) -> Tensor:
    """What a result begins with, before the states: [size, heads, rows] of heads with padded numbers."""
    return g.view_3d(result, size, heads, rows, FLOAT * padded, FLOAT * padded * heads, 0)


def states_of(g: Graph, result: Tensor, *shape: int) -> np.ndarray:
    """What it ends with, the last two axes as ours."""
    return g.numbers_of(result)[-math.prod(shape):].reshape(shape).swapaxes(-1, -2)


def end_of(g: Graph, result: Tensor, state: Tensor) -> Tensor:
    """The same in ggml's order: as many numbers as this state has, the last of the result."""
    count, all_of_it = math.prod(state.contents.ne), math.prod(result.contents.ne)
    return g.view_3d(result, count, 1, 1, FLOAT * count, FLOAT * count, FLOAT * (all_of_it - count))


def causal_conv(g: Graph, window: Tensor, x: Tensor, taps: Tensor) -> tuple[Tensor, Tensor]:
    """Depthwise convolution of x behind window[taps - 1, channels, sequences]; and the window behind it."""
    rows, kept = g.concat(window, g.transpose(x), 0), window.contents.ne[0]
    head = rows.contents
    last = g.view_3d(rows, kept, *head.ne[1:3], *head.nb[1:3], FLOAT * (head.ne[0] - kept))
    return g.ssm_conv(rows, taps), g.cont(last)


def gelu(g: Graph, x: Tensor) -> Tensor:
    """x sigmoid(p x), p = sqrt(8 / pi) (1 + 0.044715 x^2), which is the tanh form.

    ggml's own looks it up in a table of half precision; silu(p x) / p is exact, and vectorised.
    """
    factor = math.sqrt(8 / math.pi)
    p = g.scale_bias(g.sqr(x), 0.044715 * factor, factor)
    return g.div(g.silu(g.mul(x, p)), p)


def layer_norm(g: Graph, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Over the channels."""
    return g.add(g.mul(g.norm(x, 1e-5), gain), bias)


# ---- RWKV-7 ------------------------------------------------------------------------------------


def rwkv7_given(arrays: Arrays) -> Arrays:
    """S0 as value by key, its heads padded with 0."""
    more = -arrays["S0"].shape[-1] % WKV_STEP
    state = np.pad(arrays["S0"].swapaxes(-1, -2), [(0, 0)] * 2 + [(0, more)] * 2)
    return arrays | {"S0": state.reshape(len(state), -1), "x_before": arrays["x_before"][:, None],
                     "r_k": arrays["r_k"].reshape(state.shape[1], -1)}


def rwkv7(g: Graph, t: Given, heads: int) -> tuple[Outputs, Ends]:
    """rwkv_wkv7 between products."""
    H, S, B = t["x"].contents.ne[:3]
    size, rows = H // heads, S * B
    padded = size + -size % WKV_STEP

    def by_head(part: Tensor) -> Tensor:
        return g.reshape_3d(part, size, heads, rows)

    def wide(part: Tensor) -> Tensor:
        return part if padded == size else g.pad(part, padded - size, 0, 0, 0)

    earlier = g.concat(t["x_before"], tokens(g, t["x"], 0, S - 1), 1) if S > 1 else t["x_before"]
    x, shift = (g.reshape_2d(part, H, rows) for part in (t["x"], g.sub(earlier, t["x"])))
    r, k, v, xw, xa, xg = (g.add(x, g.mul(shift, t[f"mu_{name}"])) for name in "rkvwag")
    r, k, v = (g.mul_mat(t[weight], part) for part, weight in ((r, "Wr"), (k, "Wk"), (v, "Wv")))
    low = g.tanh(g.mul_mat(t["W1"], xw))
    w = g.exp(g.scale(g.sigmoid(g.add(g.mul_mat(t["W2"], low), t["w0"])), -math.exp(-0.5)))
    a = g.sigmoid(g.add(g.mul_mat(t["A2"], g.mul_mat(t["A1"], xa)), t["a0"]))
    gate = g.mul_mat(t["G2"], g.sigmoid(g.mul_mat(t["G1"], xg)))
    key = g.l2_norm(by_head(g.mul(k, t["k_k"])), 1e-12)
    scaled = g.mul(k, t["k_a"])
    k = g.add(k, g.sub(g.mul(a, scaled), scaled))
    r, k, v, w, a = map(by_head, (r, k, v, w, a))
    result = g.rwkv_wkv7(*map(wide, (r, w, k, v, g.neg(key), g.mul(key, a))), t["S0"])
    o = g.reshape_2d(g.norm(outputs_of(g, result, size, padded, heads, rows), 64e-5), H, rows)
    bonus = g.reshape_2d(g.mul(v, g.sum_rows(g.mul(g.mul(k, r), t["r_k"]))), H, rows)
    o = g.mul(g.add(g.add(g.mul(o, t["ln_g"]), t["ln_b"]), bonus), gate)
    y, last = g.mul_mat(t["Wo"], o), g.cont(tokens(g, t["x"], S - 1, 1))
    g.compute(result, y, last)
    return {"y": lambda: g.numbers_of(y), "x_last": lambda: g.numbers_of(last),
            "S_last": lambda: states_of(g, result, B, heads, padded, padded)[..., :size, :size]
            }, {"x_before": last, "S0": end_of(g, result, t["S0"])}


# ---- Gated DeltaNet ----------------------------------------------------------------------------


def gated_deltanet_given(arrays: Arrays) -> Arrays:
    """The matrices of q, k and v as one; states with time or key as the fastest."""
    return arrays | {"Wqkv": np.concatenate([arrays[f"W{name}"] for name in "qkv"]),
                     "taps": np.concatenate([arrays[f"conv_{name}"] for name in "qkv"]),
                     "rate": -np.exp(arrays["A_log"]), "S0": arrays["S0"].swapaxes(-1, -2),
                     "window": arrays["window"].swapaxes(-1, -2)}


def gated_deltanet(g: Graph, t: Given, heads: int) -> tuple[Outputs, Ends]:
    """ssm_conv and gated_delta_net between products; gated_delta_net divides q by sqrt D itself."""
    H, S, B = t["x"].contents.ne[:3]
    size, rows = H // heads, S * B
    x = g.reshape_2d(t["x"], H, rows)
    projected = g.reshape_3d(g.mul_mat(t["Wqkv"], x), 3 * H, S, B)
    convolved, window = causal_conv(g, t["window"], projected, t["taps"])
    active = g.silu(convolved)
    unit = g.rms_norm(channels(g, active, 0, size, 2 * heads), 1e-6 / size)
    unit = g.reshape_3d(g.scale(unit, size ** -0.5), 2 * H, S, B)
    q, k = (channels(g, unit, first, size, heads) for first in (0, H))
    decay = g.mul(g.softplus(g.add(g.mul_mat(t["Wa"], x), t["dt_bias"])), t["rate"])
    b = g.sigmoid(g.mul_mat(t["Wb"], x))
    decay, b = (g.reshape_4d(part, 1, heads, S, B) for part in (decay, b))
    result = g.gated_delta_net(q, k, channels(g, active, 2 * H, size, heads), decay, b, t["S0"], 1)
    o = g.mul(g.rms_norm(outputs_of(g, result, size, size, heads, rows), 1e-5), t["norm_w"])
    y = g.mul_mat(t["Wo"], g.swiglu_split(g.mul_mat(t["Wg"], x), g.reshape_2d(o, H, rows)))
    g.compute(window, result, y)
    return {"y": lambda: g.numbers_of(y),
            "window_last": lambda: states_of(g, window, B, 3 * H, window.contents.ne[0]),
            "S_last": lambda: states_of(g, result, B, heads, size, size)
            }, {"window": window, "S0": end_of(g, result, t["S0"])}


# ---- decode ------------------------------------------------------------------------------------


def products_given(arrays: Arrays) -> Arrays:
    """The values of a head with time as the fastest, as mul_mat takes them."""
    return arrays | {"v_cache": arrays["v_cache"].swapaxes(-1, -2)}


def attend_by_products(g: Graph, t: Given, q: Tensor) -> Tensor:
    """All heads that share keys in one product."""
    size, _, heads, B = q.contents.ne[:]
    kv_heads = t["k_cache"].contents.ne[2]
    row = FLOAT * size
    q = g.view_4d(q, size, heads // kv_heads, kv_heads, B, row, row * heads // kv_heads, q.contents.nb[3], 0)
    weights = g.soft_max_ext(g.mul_mat(t["k_cache"], q), None, size ** -0.5, 0.0)
    return g.mul_mat(t["v_cache"], weights)


def attend_by_flash(g: Graph, t: Given, q: Tensor) -> Tensor:
    """One operation for all."""
    return g.flash_attn_ext(q, t["k_cache"], t["v_cache"], None, q.contents.ne[0] ** -0.5, 0.0, 0.0)


def decode(attend: Callable, time_of_values: int) -> Callable:
    """A token of a pre-norm block; time is this dimension of the cached values.

    The new key and value go to the last place of the caches, which ours does not time: 2 K floats.
    """
    def build(g: Graph, t: Given, heads: int) -> tuple[Outputs, Ends]:
        H, B = t["x"].contents.ne[:2]
        size, kv_heads = H // heads, t["k_cache"].contents.ne[2]
        K = size * kv_heads
        projected = g.mul_mat(t["Wqkv"], layer_norm(g, t["x"], t["ln1_g"], t["ln1_b"]))
        projected = g.add(projected, t["bqkv"])

        def part(first: int, count: int) -> Tensor:
            return g.view_4d(projected, size, 1, count, B, FLOAT * size, FLOAT * size,
                             projected.contents.nb[1], FLOAT * first)

        for name, first, time in (("k_cache", H, 1), ("v_cache", H + K, time_of_values)):
            cache, new, sizes = t[name].contents, part(first, kv_heads), [size, 1]
            if time == 0:
                sizes, new = [1, size], g.transpose(new)
            last = (cache.ne[time] - 1) * cache.nb[time]
            g.compute(g.cpy(new, g.view_4d(t[name], *sizes, kv_heads, B, *cache.nb[1:], last)))
        context = g.reshape_2d(attend(g, t, part(0, heads)), H, B)
        x = g.add(t["x"], g.add(g.mul_mat(t["Wo"], context), t["bo"]))
        hidden = g.mul_mat(t["W1"], layer_norm(g, x, t["ln2_g"], t["ln2_b"]))
        hidden = gelu(g, g.add(hidden, t["b1"]))
        y = g.add(x, g.add(g.mul_mat(t["W2"], hidden), t["b2"]))
        g.compute(projected, y)
        return {"y": lambda: g.numbers_of(y),
                "k_new": lambda: g.numbers_of(projected).reshape(B, -1)[:, H:H + K],
                "v_new": lambda: g.numbers_of(projected).reshape(B, -1)[:, H + K:]}, {}

    return build


# ---- Mamba -------------------------------------------------------------------------------------


def mamba_given(arrays: Arrays) -> Arrays:
    """States with time or state as the fastest, and for each sequence which states are its own."""
    return arrays | {"rate": -np.exp(arrays["A_log"]), "h0": arrays["h0"].swapaxes(-1, -2)[:, :, None],
                     "window": arrays["window"].swapaxes(-1, -2),
                     "ids": np.arange(len(arrays["h0"]), dtype=np.int32)}


def mamba(g: Graph, t: Given, _heads: int) -> tuple[Outputs, Ends]:
    """ssm_conv and ssm_scan between products; ssm_scan takes softplus itself."""
    H, S, B = t["x"].contents.ne[:3]
    (N, D), rank = t["rate"].contents.ne[:2], t["Wdt"].contents.ne[0]
    both = g.mul_mat(t["Win"], g.reshape_2d(t["x"], H, S * B))
    both = g.reshape_3d(both, 2 * D, S, B)
    convolved, window = causal_conv(g, t["window"], channels(g, both, 0, D), t["conv_w"])
    u = g.silu(g.add(convolved, t["conv_b"]))
    selected = g.mul_mat(t["Wx"], g.reshape_2d(u, D, S * B))
    selected = g.reshape_3d(selected, rank + 2 * N, S, B)
    dt = g.add(g.mul_mat(t["Wdt"], channels(g, selected, 0, rank)), t["bdt"])
    b, c = (channels(g, selected, first, N, 1) for first in (rank, rank + N))
    result = g.ssm_scan(t["h0"], g.reshape_4d(u, 1, D, S, B), dt, t["rate"], b, c, t["ids"], 1)
    seen = g.view_3d(result, D, S, B, FLOAT * D, FLOAT * D * S, 0)
    gated = g.swiglu_split(channels(g, both, D, D), g.add(seen, g.mul(u, t["Dskip"])))
    y = g.mul_mat(t["Wout"], g.reshape_2d(gated, D, S * B))
    g.compute(window, result, y)
    return {"y": lambda: g.numbers_of(y),
            "window_last": lambda: states_of(g, window, B, D, window.contents.ne[0]),
            "h_last": lambda: states_of(g, result, B, D, N)
            }, {"window": window, "h0": end_of(g, result, t["h0"])}


# ---- what a call costs -------------------------------------------------------------------------


def one_number(_arrays: Arrays) -> Arrays:
    """For a graph with next to nothing in it."""
    return {"x": np.ones(1, np.float32)}


def negation(g: Graph, t: Given, _heads: int) -> tuple[Outputs, Ends]:
    """Of this number."""
    g.compute(g.neg(t["x"]))
    return {}, {}


# ---- what scripts/peers/ggml.py says -----------------------------------------------------------


class Kernel(NamedTuple):
    """A layer in one form."""

    method: str
    given: Callable[[Arrays], Arrays]  # from our arrays to what its graph takes, not timed
    build: Callable[[Graph, Given, int], tuple[Outputs, Ends]]
    sizes: tuple[str, ...] = ()


KERNELS = {  # by layer and variant
    ("rwkv7", ""): Kernel("ggml_rwkv_wkv7, heads padded to a multiple of 64; ggml_mul_mat over the sequence",
                          rwkv7_given, rwkv7),
    ("gated_deltanet", ""): Kernel("ggml_gated_delta_net and ggml_ssm_conv; ggml_mul_mat over the sequence",
                                   gated_deltanet_given, gated_deltanet),
    ("decode", "products"): Kernel("ggml_mul_mat and ggml_soft_max_ext, the cached values kept transposed; "
                                   "gelu by ggml_silu",
                                   products_given, decode(attend_by_products, 0), ("kv_heads",)),
    ("decode", "flash"): Kernel("ggml_flash_attn_ext over a cache of float32; gelu by ggml_silu",
                                dict, decode(attend_by_flash, 1), ("kv_heads",)),
    ("mamba", ""): Kernel("ggml_ssm_scan and ggml_ssm_conv; ggml_mul_mat over the sequence",
                          mamba_given, mamba),
    ("roof/empty", "neg"): Kernel("ggml_neg of one number: the overhead of a call", one_number, negation),
}


class Layer:
    """A graph on its inputs."""

    def __init__(self, kernel: Kernel, heads: int, arrays: Arrays):
        self.graph, self.arrays = Graph(), kernel.given(arrays)
        self.tensors = self.graph.give(self.arrays)
        self.made, self.ends = kernel.build(self.graph, self.tensors, heads)
        self.finish()
        self.graph.place()

    def finish(self) -> None:
        """What the graph has behind the layer."""

    def run(self) -> None:
        """The whole layer."""
        self.graph.run()

    def outputs(self) -> Arrays:
        """By our names."""
        return {name: numbers() for name, numbers in self.made.items()}


class Stream(Layer):
    """A graph that leaves its last states where the next call finds them."""

    def finish(self) -> None:
        """Copies of the states."""
        if not self.ends:
            raise ValueError("its state is not carried on here, so it has no stream")
        self.graph.compute(*(self.graph.cpy(end, self.tensors[name]) for name, end in self.ends.items()))

    def step(self, x: np.ndarray) -> None:
        """The next tokens."""
        self.graph.fill(self.tensors["x"], x)
        self.graph.run()

    def run(self) -> None:
        """From the first inputs and states."""
        for name in ("x", *self.ends):
            self.graph.fill(self.tensors[name], self.arrays[name])
        self.graph.run()


def about() -> dict:
    """ggml and its layers."""
    return {"name": "ggml", "version": ggml_library.version(), "threads": 1,
            "built": ggml_library.built_for(),
            "kernels": [{"layer": layer, "engine": "ggml", "variant": variant, "method": kernel.method,
                         "packing": "before", "sizes": list(kernel.sizes)}
                        for (layer, variant), kernel in KERNELS.items()]}


def load(request: dict, tensors: Arrays) -> Layer:
    """The layer that is asked for; of several sequences inputs and states have one more axis."""
    ggml_library.flush_to_zero(request["flush_to_zero"])
    layer, sizes = request["layer"], request["sizes"]
    ranks = RANKS | ({"x": 1} if layer == "decode" else {})
    arrays = {name: array.reshape(sizes["batch"], *array.shape[-ranks[name]:]) if name in ranks else array
              for name, array in tensors.items()}
    kind = Stream if request["stream"] else Layer
    return kind(KERNELS[layer, request.get("variant", "")], sizes["heads"], arrays)
