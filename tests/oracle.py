"""The layers in double precision, from their equations: one sequence, tensors by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Tensors = dict[str, np.ndarray]


def sigmoid(a: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-a)"""
    return 1.0 / (1.0 + np.exp(-a))


def silu(a: np.ndarray) -> np.ndarray:
    """a sigmoid(a)"""
    return a * sigmoid(a)


def softplus(a: np.ndarray) -> np.ndarray:
    """log(1 + e^a)"""
    return np.logaddexp(0.0, a)


def gelu(a: np.ndarray) -> np.ndarray:
    """a/2 (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3)))"""
    return a / 2.0 * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (a + 0.044715 * a**3)))


def softmax(a: np.ndarray) -> np.ndarray:
    """e^a / sum of e^a"""
    powers = np.exp(a - np.max(a))
    return powers / np.sum(powers)


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(x - mean) / sqrt(variance + 1e-5) gain + bias, along the last axis"""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def initial(t: Tensors, name: str, *shape: int) -> np.ndarray:
    """A state before the first token: zeros where it is not given."""
    return t.get(name, np.zeros(shape))


# recurrent layers


def rnn(t: Tensors, heads: int) -> Tensors:
    """h = tanh(W x + U h + b)"""
    h = initial(t, "h0", t["x"].shape[1])
    y = []
    for x in t["x"]:
        h = np.tanh(t["W"] @ x + t["U"] @ h + t["b"])
        y.append(h)
    return {"y": np.array(y)}


def lstm(t: Tensors, heads: int) -> Tensors:
    """i, f, g, o = W x + U h + b; c = sigmoid(f) c + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c)"""
    h, c = (initial(t, name, t["x"].shape[1]) for name in ("h0", "c0"))
    y = []
    for x in t["x"]:
        i, f, g, o = np.split(t["W"] @ x + t["U"] @ h + t["b"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        y.append(h)
    return {"y": np.array(y), "c_last": c}


def gru(t: Tensors, heads: int) -> Tensors:
    """r, z = sigmoid(W x + U h + b); n = tanh(W x + b + r (U h + bn)); h = (1 - z) n + z h"""
    h = initial(t, "h0", t["x"].shape[1])
    y = []
    for x in t["x"]:
        of_x, of_h = np.split(t["W"] @ x + t["b"], 3), np.split(t["U"] @ h, 3)
        r, z = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
        n = np.tanh(of_x[2] + r * (of_h[2] + t["bn"]))
        h = (1.0 - z) * n + z * h
        y.append(h)
    return {"y": np.array(y)}


# attention and what is built from it


def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    """softmax(q K^T / sqrt(H/A)) V, head by head: one token's q[H] over k[n,K] and v[n,K];
    as many heads of q in a row share one of k and v, where these have fewer"""
    size, context = len(q) // heads, []
    for head, part in enumerate(np.split(q, heads)):
        first = head * k.shape[1] // len(q) * size
        scores = k[:, first : first + size] @ part / np.sqrt(size)
        context.append(softmax(scores) @ v[:, first : first + size])
    return np.concatenate(context)


def split_qkv(t: Tensors, x: np.ndarray) -> list[np.ndarray]:
    """q[H], k[K], v[K] = Wqkv x + bqkv, of each row of x"""
    rows, H = t["Wqkv"].shape
    return np.split(x @ t["Wqkv"].T + t["bqkv"], [H, (rows + H) // 2], axis=-1)


def self_attention(
    t: Tensors, x: np.ndarray, heads: int, causal: bool, window: int = 0
) -> np.ndarray:
    """Wo attend(q, k, v) + bo; q, k, v = Wqkv x + bqkv; causal: token s sees 0 .. s, of them the
    last `window` where that is not 0"""
    q, k, v = split_qkv(t, x)
    y = []
    for s in range(len(x)):
        seen = slice(max(0, s + 1 - (window or len(x))), s + 1) if causal else slice(None)
        y.append(t["Wo"] @ attend(q[s], k[seen], v[seen], heads) + t["bo"])
    return np.array(y)


def gelu_branch(t: Tensors, x1: np.ndarray) -> np.ndarray:
    """x1 + W2 gelu(W1 LN2(x1) + b1) + b2"""
    hidden = gelu(layer_norm(x1, t["ln2_g"], t["ln2_b"]) @ t["W1"].T + t["b1"])
    return x1 + hidden @ t["W2"].T + t["b2"]


def attention(t: Tensors, heads: int) -> Tensors:
    """y = Wo softmax(Q K^T / sqrt(H/A)) V + bo"""
    return {"y": self_attention(t, t["x"], heads, causal=False)}


def causal_attention(t: Tensors, heads: int) -> Tensors:
    """y = Wo causal softmax(Q K^T / sqrt(H/A)) V + bo"""
    return {"y": self_attention(t, t["x"], heads, causal=True)}


def transformer(t: Tensors, heads: int) -> Tensors:
    """x1 = LN1(x + attention(x)); y = LN2(x1 + W2 relu(W1 x1 + b1) + b2)"""
    x1 = t["x"] + self_attention(t, t["x"], heads, causal=False)
    x1 = layer_norm(x1, t["ln1_g"], t["ln1_b"])
    branch = np.maximum(x1 @ t["W1"].T + t["b1"], 0.0) @ t["W2"].T + t["b2"]
    return {"y": layer_norm(x1 + branch, t["ln2_g"], t["ln2_b"])}


def gpt(t: Tensors, heads: int, window: int = 0) -> Tensors:
    """x1 = x + causal attention(LN1(x)); y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2"""
    normed = layer_norm(t["x"], t["ln1_g"], t["ln1_b"])
    return {"y": gelu_branch(t, t["x"] + self_attention(t, normed, heads, causal=True, window=window))}


def decode(t: Tensors, heads: int, window: int = 0) -> Tensors:
    """gpt's last token, its key and value behind those of the caches (whose last place is free)"""
    normed = layer_norm(t["x"], t["ln1_g"], t["ln1_b"])
    q, k_new, v_new = split_qkv(t, normed)
    k, v = (np.concatenate(t[name], axis=1) for name in ("k_cache", "v_cache"))
    k[-1], v[-1] = k_new, v_new
    x1 = t["x"] + t["Wo"] @ attend(q, k[-window:], v[-window:], heads) + t["bo"]
    return {"y": gelu_branch(t, x1), "k_new": k_new, "v_new": v_new}


def linear_attention(t: Tensors, heads: int) -> Tensors:
    """f = elu + 1; M += f(k) v^T; z += f(k); y = Wo (M^T f(q) / (f(q) z + 1e-6)) + bo"""
    q, k, v = np.split(t["x"] @ t["Wqkv"].T + t["bqkv"], 3, axis=1)
    q, k = (np.where(a > 0.0, a + 1.0, np.exp(a)) for a in (q, k))
    context = np.zeros(t["x"].shape)
    for part in np.split(np.arange(q.shape[1]), heads):
        M, z = np.zeros((len(part), len(part))), np.zeros(len(part))
        for s in range(len(q)):
            M = M + np.outer(k[s, part], v[s, part])
            z = z + k[s, part]
            context[s, part] = M.T @ q[s, part] / (q[s, part] @ z + 1e-6)
    return {"y": context @ t["Wo"].T + t["bo"]}


# state spaces


def convolve(rows: np.ndarray, t: Tensors) -> np.ndarray:
    """u_s = silu(conv_b + sum over j < K of conv_w_j rows_(s+j)), rows[K-1+S,channels]"""
    taps = t["conv_w"].shape[1]
    tokens = len(rows) - (taps - 1)
    return np.array([silu(t["conv_b"] + np.sum(t["conv_w"].T * rows[s:s + taps], axis=0))
                     for s in range(tokens)])


def scan(u: np.ndarray, dt: np.ndarray, A: np.ndarray, B: np.ndarray, C: np.ndarray,
         Dskip: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """h = exp(dt A) h + dt u B; y = C h + Dskip u; h[N,D], A[D,N] or A[D,1]; y and the last h"""
    y = []
    for s in range(len(u)):
        h = np.exp(dt[s] * A.T) * h + np.outer(B[s], dt[s] * u[s])
        y.append(C[s] @ h + Dskip * u[s])
    return np.array(y), h


def mamba(t: Tensors, heads: int) -> Tensors:
    """u, z = Win x; u = silu(conv(u)); r, B, C = Wx u; dt = softplus(Wdt r + b); y = Wout ..."""
    D, N = t["A_log"].shape
    R = t["Wdt"].shape[1]
    taps = t["conv_w"].shape[1]
    u, z = np.split(t["x"] @ t["Win"].T, 2, axis=1)
    rows = np.concatenate([initial(t, "window", taps - 1, D), u])
    u = convolve(rows, t)
    r, B, C = np.split(u @ t["Wx"].T, [R, R + N], axis=1)
    dt = softplus(r @ t["Wdt"].T + t["bdt"])
    y, h = scan(u, dt, -np.exp(t["A_log"]), B, C, t["Dskip"], initial(t, "h0", N, D))
    return {"y": y * silu(z) @ t["Wout"].T, "window_last": rows[-(taps - 1):], "h_last": h}


def mamba2(t: Tensors, heads: int) -> Tensors:
    """z, x, B, C, dt = Win x; x, B, C = silu(conv(.)); y = Wout RMSNorm((h C + Dskip x) silu(z))"""
    D, E, size = len(t["norm"]), len(t["conv_b"]), 64  # size: channels of a head
    N = (E - D) // 2
    z, xbc, dt = np.split(t["x"] @ t["Win"].T, [D, D + E], axis=1)
    window = np.zeros((t["conv_w"].shape[1] - 1, E))
    u, B, C = np.split(convolve(np.concatenate([window, xbc]), t), [D, D + N], axis=1)
    dt = np.repeat(softplus(dt + t["dt_bias"]), size, axis=1)
    A, Dskip = np.repeat(-np.exp(t["A_log"]), size), np.repeat(t["Dskip"], size)
    y, _ = scan(u, dt, A[:, np.newaxis], B, C, Dskip, np.zeros((N, D)))
    y = y * silu(z)
    y = y / np.sqrt(np.mean(y**2, axis=1, keepdims=True) + 1e-5) * t["norm"]
    return {"y": y @ t["Wout"].T}


LAYERS: dict[str, Callable[[Tensors, int], Tensors]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "transformer": transformer,
    "attention": attention,
    "causal_attention": causal_attention,
    "gpt": gpt,
    "decode": decode,
    "linear_attention": linear_attention,
    "mamba": mamba,
    "mamba2": mamba2,
}
