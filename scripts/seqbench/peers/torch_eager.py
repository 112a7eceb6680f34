"""Layers that torch.nn has not, in PyTorch as a person would write them: tensors, and a loop of tokens."""
from __future__ import annotations

from collections.abc import Callable

ENGINE = "torch-eager"
METHODS = {
    "mamba": "torch-eager: linear and conv1d over the sequence, the state space token by token",
    "gated_deltanet": "torch-eager: linear and conv1d over the sequence, the state token by token",
    "rwkv7": "torch-eager: linear over the sequence, the state token by token",
}
OUTPUTS = {"mamba": ("y", "window_last", "h_last"), "gated_deltanet": ("y", "window_last", "S_last"),
           "rwkv7": ("y", "x_last", "S_last")}


def causal_conv(torch, window, rows, weight, bias=None):
    """Depthwise convolution of rows[B,S,C] behind window[B,K-1,C], silu behind it; and all rows."""
    rows = torch.cat([window, rows], 1)
    out = torch.nn.functional.conv1d(rows.transpose(1, 2), weight.unsqueeze(1), bias,
                                     groups=weight.shape[0])
    return torch.nn.functional.silu(out.transpose(1, 2)), rows


def mamba(torch, t: dict, _heads: int) -> Callable:
    """One scan over tokens with h[B,D,N]."""
    functional = torch.nn.functional
    rate, parts = -torch.exp(t["A_log"]), [t["Wdt"].shape[1], *[t["A_log"].shape[1]] * 2]
    window, h0 = t["window"].view(-1, *t["window"].shape[-2:]), t["h0"].view(-1, *t["h0"].shape[-2:])

    def run(x):
        u, z = functional.linear(x, t["Win"]).chunk(2, -1)
        u, rows = causal_conv(torch, window, u, t["conv_w"], t["conv_b"])
        r, B, C = functional.linear(u, t["Wx"]).split(parts, -1)
        dt = functional.softplus(functional.linear(r, t["Wdt"], t["bdt"]))
        h, y = h0.transpose(1, 2), []
        for s in range(x.shape[1]):
            decay = torch.exp(dt[:, s, :, None] * rate)
            h = decay * h + (dt[:, s] * u[:, s])[..., None] * B[:, s, None]
            y.append((h * C[:, s, None]).sum(-1))
        gated = (torch.stack(y, 1) + t["Dskip"] * u) * functional.silu(z)
        return (functional.linear(gated, t["Wout"]), rows[:, -window.shape[1]:],
                h.transpose(1, 2))

    return run


def gated_deltanet(torch, t: dict, heads: int) -> Callable:
    """One delta rule per token with S[B,A,key,value]."""
    functional = torch.nn.functional
    window, first = t["window"].view(-1, *t["window"].shape[-2:]), t["S0"].view(-1, *t["S0"].shape[-3:])
    taps = torch.cat([t["conv_q"], t["conv_k"], t["conv_v"]])

    def run(x):
        shape = (*x.shape[:2], heads, -1)
        qkv = torch.cat([functional.linear(x, t[name]) for name in ("Wq", "Wk", "Wv")], -1)
        active, rows = causal_conv(torch, window, qkv, taps)
        q, k, v = (part.view(shape) for part in active.chunk(3, -1))
        q, k = (part / torch.sqrt((part * part).sum(-1, keepdim=True) + 1e-6) for part in (q, k))
        q = q * q.shape[-1] ** -0.5
        rates = functional.softplus(functional.linear(x, t["Wa"]) + t["dt_bias"])
        decay = torch.exp(-torch.exp(t["A_log"]) * rates)[..., None, None]
        b = torch.sigmoid(functional.linear(x, t["Wb"]))[..., None]
        S, o = first, []
        for s in range(x.shape[1]):
            S = decay[:, s] * S
            u = b[:, s] * (v[:, s] - torch.einsum("bhkv,bhk->bhv", S, k[:, s]))
            S = S + k[:, s, ..., None] * u[..., None, :]
            o.append(torch.einsum("bhkv,bhk->bhv", S, q[:, s]))
        o = torch.stack(o, 1)
        o = o / torch.sqrt((o * o).mean(-1, keepdim=True) + 1e-5) * t["norm_w"]
        gate = functional.silu(functional.linear(x, t["Wg"]))
        y = functional.linear(o.reshape(x.shape) * gate, t["Wo"])
        return y, rows[:, -window.shape[1]:], S

    return run


def rwkv7(torch, t: dict, heads: int) -> Callable:
    """One update per token with S[B,A,key,value]."""
    functional = torch.nn.functional
    first, before = t["S0"].view(-1, *t["S0"].shape[-3:]), t["x_before"].view(-1, 1, t["Wo"].shape[0])

    def run(x):
        shape = (*x.shape[:2], heads, -1)
        shift = torch.cat([before, x[:, :-1]], 1) - x
        r, k, v, xw, xa, xg = (x + shift * t[f"mu_{name}"] for name in "rkvwag")
        r, k, v = (functional.linear(a, t[w]) for a, w in ((r, "Wr"), (k, "Wk"), (v, "Wv")))
        low = torch.tanh(functional.linear(xw, t["W1"]))
        w = torch.exp(-torch.sigmoid(functional.linear(low, t["W2"], t["w0"])) * 0.6065306597126334)
        a = torch.sigmoid(functional.linear(functional.linear(xa, t["A1"]), t["A2"], t["a0"]))
        gate = functional.linear(torch.sigmoid(functional.linear(xg, t["G1"])), t["G2"])
        key = functional.normalize((k * t["k_k"]).view(shape), dim=-1)
        k = k * (1 + (a - 1) * t["k_a"])
        r, k, v, w, a = (part.view(shape) for part in (r, k, v, w, a))
        replaced, S, o = key * a, first, []
        for s in range(x.shape[1]):
            seen = torch.einsum("bhkv,bhk->bhv", S, key[:, s])
            S = (w[:, s, ..., None] * S - replaced[:, s, ..., None] * seen[..., None, :]
                 + k[:, s, ..., None] * v[:, s, ..., None, :])
            o.append(torch.einsum("bhkv,bhk->bhv", S, r[:, s]))
        o = torch.stack(o, 1).view(-1, x.shape[-1])
        o = functional.group_norm(o, heads, t["ln_g"], t["ln_b"], 64e-5).view(x.shape)
        bonus = (r * k * t["r_k"].view(heads, -1)).sum(-1, keepdim=True) * v
        return functional.linear((o + bonus.view(x.shape)) * gate, t["Wo"]), x[:, -1], S

    return run


LAYERS = {"mamba": mamba, "gated_deltanet": gated_deltanet, "rwkv7": rwkv7}
