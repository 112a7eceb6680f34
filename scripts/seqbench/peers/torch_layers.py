"""Layers of torch.nn with the parameters of ours, and its cells, which keep their state."""
from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np

from seqbench.peers import torch_eager

METHODS = {
    "rnn": "torch.nn.RNN", "lstm": "torch.nn.LSTM", "gru": "torch.nn.GRU",
    "transformer": "torch.nn.TransformerEncoderLayer, eval mode",
    "decode": "torch: layer_norm, linear, matmul, softmax and gelu; the cache is read, not written",
}
NARROW_METHODS = {
    "bf16": {layer: f"{METHODS[layer]}, in bfloat16"
             for layer in ("rnn", "lstm", "gru", "transformer")},
    "int8": {"lstm": "torch.nn.LSTM, dynamically quantised to int8",
             "gru": "torch.nn.GRU, dynamically quantised to int8",
             "transformer": "torch.nn.TransformerEncoderLayer, its FFN dynamically quantised to int8"},
}
TOLERANCES = {"bf16": 4e-2, "int8": 5e-2}  # where weights, inputs and states are rounded
SIZES = {"rnn": ["input"], "lstm": ["input"], "gru": ["input"], "decode": ["kv_heads"]}
CELLS = {"rnn": "torch.nn.RNNCell", "lstm": "torch.nn.LSTMCell", "gru": "torch.nn.GRUCell"}


@functools.cache
def use_torch():
    """torch, in one thread and without gradients; it takes seconds to import."""
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{error}; `make deps-peers` installs PyTorch") from error
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()  # to the end
    return torch


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


class Layer:
    """A layer on its input."""

    def __init__(self, layer: str, module: Callable, x):
        self.layer, self.module, self.x, self.result = layer, module, x, None

    def run(self) -> None:
        """The whole layer."""
        self.result = self.module(self.x)

    def outputs(self) -> dict[str, np.ndarray]:
        """By our names."""
        return {name: output.numpy() for name, output in outputs_of(self.layer, self.result).items()}


class Cell:
    """A cell of torch that takes one token at a time and keeps its state."""

    def __init__(self, layer: str, hid_size: int, t: dict[str, np.ndarray], x):
        torch = use_torch()
        kind = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}[layer]
        self.cell = loaded(kind(t["W"].shape[1], hid_size),
                           {name.removesuffix("_l0"): value
                            for name, value in parameters_of(layer, t).items()})
        self.first = self.state = initial_state(layer, t, -1, hid_size)
        self.x, self.seen = x, []

    def take(self, x) -> None:
        """All tokens of x[BatchSize, SeqLen, InputSize]."""
        self.seen = []
        for token in x.unbind(1):
            self.state = self.cell(token, self.state)
            self.seen.append(self.state[0] if isinstance(self.state, tuple) else self.state)

    def step(self, x: np.ndarray) -> None:
        """The next tokens of a stream."""
        self.take(use_torch().from_numpy(x).view(1, -1, x.shape[-1]))

    def run(self) -> None:
        """From the first state."""
        self.state = self.first
        self.take(self.x)

    def outputs(self) -> dict[str, np.ndarray]:
        """Of the tokens that were taken last."""
        y = {"y": use_torch().stack(self.seen, 1).numpy()}
        return y | {"c_last": self.state[1].numpy()} if isinstance(self.state, tuple) else y


# ---- what scripts/peers/torch.py says ----------------------------------------------------------


def kernel(layer: str, engine: str, method: str, **more) -> dict:
    """A line of what there is."""
    return {"layer": layer, "engine": engine, "method": method, "packing": "call",
            "sizes": SIZES.get(layer, []), **more}


def about() -> dict:
    """PyTorch and its layers."""
    torch = use_torch()
    kernels = [kernel(layer, "torch", method) for layer, method in METHODS.items()]
    kernels += [kernel(layer, f"torch-{weights}", method, packing="before", weights=weights,
                       tolerance=TOLERANCES[weights])
                for weights, methods in NARROW_METHODS.items() for layer, method in methods.items()]
    kernels += [kernel(layer, torch_eager.ENGINE, method)
                for layer, method in torch_eager.METHODS.items()]
    return {"name": "PyTorch", "version": torch.__version__, "threads": torch.get_num_threads(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "built": " ".join(torch.__config__.show().split()), "kernels": kernels}


def load(request: dict, tensors: dict[str, np.ndarray]) -> Layer | Cell:
    """The layer that is asked for."""
    use_torch().set_flush_denormal(request["flush_to_zero"])
    layer, sizes = request["layer"], request["sizes"]
    x = input_of(layer, sizes, tensors["x"])
    if request["stream"] and layer in CELLS:
        return Cell(layer, sizes["hid_size"], tensors, x)
    weights = request["engine"].partition("-")[2]
    make = functools.partial(make_narrow_module, weights) if weights in NARROW_METHODS else make_module
    return Layer(layer, make(layer, sizes["hid_size"], sizes["heads"], tensors), x)
