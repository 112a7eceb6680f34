"""Layers of torch.nn with the parameters of ours, and its cells, which keep their state."""
from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np

from seqbench.peers import torch_eager
from seqbench.read import runs

METHODS = {
    "rnn": "torch.nn.RNN", "lstm": "torch.nn.LSTM", "gru": "torch.nn.GRU",
    "transformer": "torch.nn.TransformerEncoderLayer, eval mode",
    "decode": "torch: layer_norm, linear, matmul, softmax and gelu; the cache is read, not written",
}
NARROW_METHODS = {
    "bf16": {layer: f"{METHODS[layer]}, in bfloat16" for layer in ("rnn", "lstm", "gru", "transformer")},
    "int8": {"lstm": "torch.nn.LSTM, dynamically quantised to int8",
             "gru": "torch.nn.GRU, dynamically quantised to int8",
             "transformer": "torch.nn.TransformerEncoderLayer, its FFN dynamically quantised to int8"},
}
CELLS = {"rnn": "torch.nn.RNNCell", "lstm": "torch.nn.LSTMCell", "gru": "torch.nn.GRUCell"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMEXPR_NUM_THREADS": "1", "NUMEXPR_MAX_THREADS": "1"}
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
    """One token of a pre-norm block: attends to the cache and to its own key and value, then FFN.

    As in ours, the last place of the cache is the new token's: neither read nor written.
    """
    torch = use_torch()
    functional = torch.nn.functional
    t = {name: torch.from_numpy(array) for name, array in arrays.items()}
    size, kv_heads = hid_size // heads, arrays["k_cache"].shape[-3]
    parts = [heads * size, kv_heads * size, kv_heads * size]
    keys, values = t["k_cache"][..., :-1, :].transpose(-2, -1), t["v_cache"][..., :-1, :]

    def step(x):
        normed = functional.layer_norm(x, (hid_size,), t["ln1_g"], t["ln1_b"])
        projected = functional.linear(normed, t["Wqkv"], t["bqkv"])
        q, k, v = (part.view(len(x), kv_heads, -1, size) for part in projected.split(parts, 1))
        q = q * size ** -0.5
        scores = torch.cat([torch.matmul(q, keys), torch.matmul(q, k.transpose(-2, -1))], -1)
        weights = torch.softmax(scores, -1)
        context = torch.matmul(weights[..., :-1], values) + weights[..., -1:] * v
        x = x + functional.linear(context.view(len(x), hid_size), t["Wo"], t["bo"])
        normed = functional.layer_norm(x, (hid_size,), t["ln2_g"], t["ln2_b"])
        hidden = functional.gelu(functional.linear(normed, t["W1"], t["b1"]), approximate="tanh")
        return x + functional.linear(hidden, t["W2"], t["b2"]), k, v

    return step


def initial_state(layer: str, t: dict[str, np.ndarray], *shape: int):
    """hx before token 0, in this shape: a tuple of h and c, or h alone; None where there is none."""
    torch = use_torch()
    parts = tuple(torch.from_numpy(t[name]).view(*shape) for name in ("h0", "c0") if name in t)
    return parts if layer == "lstm" else parts[0] if parts else None


def loaded(module, state: dict[str, np.ndarray]):
    """The module with these parameters, ready to run."""
    torch = use_torch()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()},
                           strict=True)
    return module.eval().requires_grad_(False)


def module_of(layer: str, hid_size: int, heads: int, t: dict[str, np.ndarray]):
    """torch's module with these parameters."""
    torch = use_torch()
    if layer == "transformer":
        module = torch.nn.TransformerEncoderLayer(hid_size, heads, 4 * hid_size, dropout=0.0,
                                                  batch_first=True)
    else:
        kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[layer]
        module = kind(t["W"].shape[1], hid_size, batch_first=True)
    return loaded(module, parameters_of(layer, t))


def begun(module, hx) -> Callable:
    """A module with this state before token 0, if there is one."""
    return module if hx is None else functools.partial(module, hx=hx)


def make_module(layer: str, hid_size: int, heads: int, t: dict[str, np.ndarray]) -> Callable:
    """torch's layer with these parameters and, if there is one, this state before token 0."""
    if layer == "decode":
        return decode_step(hid_size, heads, t)
    if layer in torch_eager.LAYERS:
        torch = use_torch()
        tensors = {name: torch.from_numpy(array) for name, array in t.items()}
        return torch_eager.LAYERS[layer](torch, tensors, heads)
    return begun(module_of(layer, hid_size, heads, t), initial_state(layer, t, 1, -1, hid_size))


def quantised(module):
    """A module with weights of int8; what they multiply is rounded to 8 bits at each call."""
    torch = use_torch()
    torch.backends.quantized.engine = "onednn"
    kinds = {torch.nn.LSTM, torch.nn.GRU, torch.nn.Linear}
    module.activation_relu_or_gelu = 0  # of a block: its fused path knows no weights but float32
    around = torch.nn.Sequential(module)  # what is within a module is replaced, not itself
    return torch.quantization.quantize_dynamic(around, kinds, dtype=torch.qint8)[0]


def cast(value, kind: str):
    """A tensor, or each of a tuple of them, in another type."""
    return tuple(cast(one, kind) for one in value) if isinstance(value, tuple) else getattr(value, kind)()


def make_narrow_module(precision: str, layer: str, hid_size: int, heads: int,
                       t: dict[str, np.ndarray]) -> Callable:
    """make_module in bf16, which takes and gives float32, or in int8."""
    module = module_of(layer, hid_size, heads, t)
    hx = initial_state(layer, t, 1, -1, hid_size)
    if precision == "int8":
        return begun(quantised(module), hx)
    made = begun(module.bfloat16(), hx if hx is None else cast(hx, "bfloat16"))
    return lambda x: cast(made(x.bfloat16()), "float")


def input_of(layer: str, sizes: dict[str, int], x: np.ndarray):
    """Our input as torch takes it: [BatchSize, SeqLen, HidSize], of decode [BatchSize, HidSize]."""
    tokens = [] if layer == "decode" else [sizes["seq_len"]]
    return use_torch().from_numpy(x).view(sizes["batch"], *tokens, sizes["input"] or sizes["hid_size"])


def outputs_of(layer: str, result) -> dict:
    """A module's result by our names of the outputs."""
    if layer == "transformer":
        return {"y": result}
    if layer == "decode":
        return dict(zip(("y", "k_new", "v_new"), result))
    if layer in torch_eager.LAYERS:
        return dict(zip(torch_eager.OUTPUTS[layer], result))
    if layer == "lstm":
        return {"y": result[0], "c_last": result[1][1]}
    return {"y": result[0]}


class Cell:
    """A cell of torch that takes one token at a time and keeps its state."""

    def __init__(self, layer: str, hid_size: int, _heads: int, t: dict[str, np.ndarray]):
        torch = use_torch()
        kind = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}[layer]
        self.cell = loaded(kind(t["W"].shape[1], hid_size),
                           {name.removesuffix("_l0"): value
                            for name, value in parameters_of(layer, t).items()})
        self.state = initial_state(layer, t, 1, hid_size)

    def step(self, x) -> None:
        """One token, x[1, InputSize]."""
        self.state = self.cell(x, self.state)

    def __call__(self, x):
        """All tokens of x[1, SeqLen, InputSize], as a module of the layer gives them."""
        seen = []
        for token in x.unbind(1):
            self.step(token)
            seen.append(self.state[0] if isinstance(self.state, tuple) else self.state)
        return use_torch().stack(seen, 1), self.state
