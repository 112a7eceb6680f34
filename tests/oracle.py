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


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """(x - mean) / sqrt(variance + eps) gain + bias, along the last axis"""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * gain + bias


def rms_norm(x: np.ndarray, gain: np.ndarray, eps: float) -> np.ndarray:
    """x / sqrt(mean of x^2 + eps) gain, along the last axis"""
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps) * gain


def initial(t: Tensors, name: str, *shape: int) -> np.ndarray:
    """A state before the first token: zeros where it is not given."""
    return t.get(name, np.zeros(shape))


def initial_maximum(t: Tensors, *shape: int) -> np.ndarray:
    """The running maximum m0 before the first token: -inf where it is not given."""
    return t.get("m0", np.full(shape, -np.inf))


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


def slstm(t: Tensors, heads: int) -> Tensors:
    """i, f, z, o = W x + R y + b; f = log sigmoid(f) + m; m = max(i, f);
    c = e^(f-m) c + e^(i-m) tanh(z); n = e^(f-m) n + e^(i-m); y = sigmoid(o) c/n"""
    H = t["x"].shape[1]
    size = H // heads
    h, c, n = (initial(t, name, H) for name in ("y0", "c0", "n0"))
    m = initial_maximum(t, H)
    R = t["R"].reshape(4, heads, size, size)
    y = []
    for x in t["x"]:
        of_h = np.ravel(R @ h.reshape(heads, size, 1))
        i, f, z, o = np.split(t["W"] @ x + of_h + t["b"], 4)
        f = m - softplus(-f)
        m = np.maximum(i, f)
        c = np.exp(f - m) * c + np.exp(i - m) * np.tanh(z)
        n = np.exp(f - m) * n + np.exp(i - m)
        h = sigmoid(o) * c / n
        y.append(h)
    return {"y": np.array(y), "c_last": c, "n_last": n, "m_last": m}


def ssru(t: Tensors, heads: int) -> Tensors:
    """f = sigmoid(Wf x + bf); c = f c + (1 - f) W x; y = max(c, 0)"""
    c = initial(t, "c0", t["x"].shape[1])
    y = []
    for x in t["x"]:
        f = sigmoid(t["Wf"] @ x + t["bf"])
        c = f * c + (1.0 - f) * (t["W"] @ x)
        y.append(np.maximum(c, 0.0))
    return {"y": np.array(y), "c_last": c}


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


def rotate(a: np.ndarray, positions: np.ndarray, size: int) -> np.ndarray:
    """(a1, a2) -> (a1 cos - a2 sin, a2 cos + a1 sin), the halves of each head of a[n,.]"""
    angles = np.outer(positions, 10000.0 ** (-np.arange(0, size, 2) / size))[:, np.newaxis]
    a1, a2 = np.split(a.reshape(len(a), -1, size), 2, axis=2)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([a1 * cos - a2 * sin, a2 * cos + a1 * sin], axis=2).reshape(a.shape)


def modern_qkv(t: Tensors, x: np.ndarray, positions: np.ndarray, size: int) -> list[np.ndarray]:
    """q, k, v = Wq n, Wk n, Wv n, q and k rotated; n = RMSNorm(x)"""
    n = rms_norm(x, t["n1"], 1e-6)
    return [rotate(n @ t["Wq"].T, positions, size), rotate(n @ t["Wk"].T, positions, size),
            n @ t["Wv"].T]


def modern_token(t: Tensors, x: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray,
                 heads: int) -> np.ndarray:
    """x1 = x + Wo attend(q, k, v), head a over key head floor(a G/A); n = RMSNorm(x1);
    y = x1 + Wdown (silu(Wgate n) Wup n)"""
    x1 = x + t["Wo"] @ attend(q, k, v, heads)
    n = rms_norm(x1, t["n2"], 1e-6)
    return x1 + t["Wdown"] @ (silu(t["Wgate"] @ n) * (t["Wup"] @ n))


def modern(t: Tensors, heads: int, window: int = 0) -> Tensors:
    """x1 = x + grouped causal attention(RMSNorm(x)); y = x1 + gated silu(RMSNorm(x1)); token s sees
    0 .. s, of them the last `window` where that is not 0"""
    x = t["x"]
    first = [max(0, s + 1 - (window or len(x))) for s in range(len(x))]
    q, k, v = modern_qkv(t, x, np.arange(len(x)), x.shape[1] // heads)
    return {"y": np.array([modern_token(t, x[s], q[s], k[first[s] : s + 1],
                                        v[first[s] : s + 1], heads)
                           for s in range(len(x))])}


def modern_decode(t: Tensors, heads: int, window: int = 0) -> Tensors:
    """modern's last token, its key and value in the last place of the caches (which is free)"""
    k, v = (np.concatenate(t[name], axis=1) for name in ("k_cache", "v_cache"))
    last, size = np.array([len(k) - 1]), len(t["x"]) // heads
    q, k[-1:], v[-1:] = modern_qkv(t, t["x"][np.newaxis], last, size)
    return {"y": modern_token(t, t["x"], q[0], k[-window:], v[-window:], heads), "k_new": k[-1], "v_new": v[-1]}


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


# convolutions and state spaces


def weigh(rows: np.ndarray, w: np.ndarray) -> np.ndarray:
    """u_s = sum over j < K of w_j rows_(s+j), rows[K-1+S,channels], w[channels,K]"""
    taps = w.shape[1]
    tokens = len(rows) - (taps - 1)
    return np.array([np.sum(w.T * rows[s:s + taps], axis=0) for s in range(tokens)])


def convolve(rows: np.ndarray, t: Tensors) -> np.ndarray:
    """silu(conv_b + sum over j < K of conv_w_j rows_(s+j)), rows[K-1+S,channels]"""
    return silu(t["conv_b"] + weigh(rows, t["conv_w"]))


def short_conv(t: Tensors, heads: int) -> Tensors:
    """b, g, u = Win x; y = Wout (g conv(b u))"""
    b, g, u = np.split(t["x"] @ t["Win"].T, 3, axis=1)
    rows = np.concatenate([initial(t, "window", 2, u.shape[1]), b * u])
    return {"y": g * weigh(rows, t["conv_w"]) @ t["Wout"].T, "window_last": rows[-2:]}


def rglru(t: Tensors, heads: int) -> Tensors:
    """u = conv(Wx x + bx); i, r = sigmoid(W u + b), head by head; a = exp(-8 r softplus(lam));
    h = a h + sqrt(1 - a^2) u i, a sequence's first h = u i; y = Wo (h gelu(Wy x + by)) + bo"""
    x, H = t["x"], t["x"].shape[1]
    rows = np.concatenate([initial(t, "window", 3, H), x @ t["Wx"].T + t["bx"]])
    u = weigh(rows, t["conv_w"]) + t["conv_b"]
    by_head = u.reshape(len(x), heads, H // heads, 1)
    i, r = (sigmoid((t["W" + n] @ by_head).reshape(x.shape) + t["b" + n]) for n in "ia")
    log_a = -8.0 * r * softplus(t["lam"])
    factor = np.sqrt(-np.expm1(2.0 * log_a))
    if "h0" not in t:
        factor[0] = 1.0
    h = initial(t, "h0", H)
    states = []
    for s in range(len(x)):
        h = np.exp(log_a[s]) * h + factor[s] * u[s] * i[s]
        states.append(h)
    y = np.array(states) * gelu(x @ t["Wy"].T + t["by"]) @ t["Wo"].T + t["bo"]
    return {"y": y, "window_last": rows[-3:], "h_last": h}


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
    return {"y": rms_norm(y * silu(z), t["norm"], 1e-5) @ t["Wout"].T}


# a matrix per head as the state: S[k][v]


def read(S: np.ndarray, k: np.ndarray) -> np.ndarray:
    """S^T k, head by head"""
    return np.einsum("akv,ak->av", S, k)


def outer(k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """k v^T, head by head"""
    return np.einsum("ak,av->akv", k, v)


def gated_deltanet(t: Tensors, heads: int) -> Tensors:
    """q, k, v = silu(conv(W x)), |q| = |k| = 1; S = exp(-exp(A_log) softplus(Wa x + dt_bias)) S;
    S += k (sigmoid(Wb x) (v - S^T k))^T; y = Wo (RMSNorm(S^T q / sqrt(H/A)) silu(Wg x))"""
    x, H = t["x"], t["x"].shape[1]
    size = H // heads
    projected = x @ np.concatenate([t["Wq"], t["Wk"], t["Wv"]]).T
    rows = np.concatenate([initial(t, "window", 3, 3 * H), projected])
    u = silu(weigh(rows, np.concatenate([t["conv_q"], t["conv_k"], t["conv_v"]])))
    q, k, v = np.split(u.reshape(len(x), 3 * heads, size), 3, axis=1)
    q, k = (a / np.sqrt(np.sum(a**2, axis=2, keepdims=True) + 1e-6) for a in (q, k))
    decay = np.exp(-np.exp(t["A_log"]) * softplus(x @ t["Wa"].T + t["dt_bias"]))
    beta = sigmoid(x @ t["Wb"].T)
    S = initial(t, "S0", heads, size, size)
    o = []
    for s in range(len(x)):
        S = decay[s, :, np.newaxis, np.newaxis] * S
        S = S + outer(k[s], beta[s, :, np.newaxis] * (v[s] - read(S, k[s])))
        o.append(read(S, q[s]) / np.sqrt(size))
    o = rms_norm(np.array(o), t["norm_w"], 1e-5).reshape(x.shape)
    return {"y": o * silu(x @ t["Wg"].T) @ t["Wo"].T, "window_last": rows[-3:], "S_last": S}


def rwkv7(t: Tensors, heads: int) -> Tensors:
    """x_n = x + (x' - x) mu_n; r, k, v = W x; w = exp(-e^(-1/2) sigmoid(w0 + W2 tanh(W1 x)));
    a = sigmoid(a0 + A2 A1 x); K = k k_k of length 1; k = k (1 + (a - 1) k_a);
    S = w S - (K a) (S^T K)^T + k v^T; o = GroupNorm(S^T r) + (r k r_k) v;
    y = Wo (o G2 sigmoid(G1 x))"""
    x = t["x"]
    by_head = (len(x), heads, x.shape[1] // heads)
    before = np.concatenate([initial(t, "x_before", x.shape[1])[np.newaxis], x[:-1]])
    of_r, of_w, of_k, of_v, of_a, of_g = (x + (before - x) * t["mu_" + n] for n in "rwkvag")
    r, k, v = of_r @ t["Wr"].T, of_k @ t["Wk"].T, of_v @ t["Wv"].T
    w = sigmoid(t["w0"] + np.tanh(of_w @ t["W1"].T) @ t["W2"].T)
    w = np.exp(-np.exp(-0.5) * w)
    a = sigmoid(t["a0"] + of_a @ t["A1"].T @ t["A2"].T)
    gate = sigmoid(of_g @ t["G1"].T) @ t["G2"].T
    unit = (k * t["k_k"]).reshape(by_head)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=2, keepdims=True), 1e-12)
    k = k * (1.0 + (a - 1.0) * t["k_a"])
    bonus = np.sum((r * k * t["r_k"]).reshape(by_head), axis=2, keepdims=True)
    r, w, k, v, a = (part.reshape(by_head) for part in (r, w, k, v, a))
    S = initial(t, "S0", heads, by_head[2], by_head[2])
    o = []
    for s in range(len(x)):
        S = w[s, :, :, np.newaxis] * S - outer(unit[s] * a[s], read(S, unit[s])) + outer(k[s], v[s])
        o.append(read(S, r[s]))
    gain, bias = (t[name].reshape(by_head[1:]) for name in ("ln_g", "ln_b"))
    o = layer_norm(np.array(o), gain, bias, 64e-5) + bonus * v
    return {"y": o.reshape(x.shape) * gate @ t["Wo"].T, "x_last": x[-1], "S_last": S}


def mlstm(t: Tensors, heads: int) -> Tensors:
    """i, f = W x + b; f = log sigmoid(f) + m; m = max(f, i); C = e^(f-m) C + e^(i-m) k v^T;
    n = e^(f-m) n + e^(i-m) k; h = C^T q / (max(|n q|, e^-m) + 1e-6);
    y = Wo (RMSNorm(h) sigmoid(Wog x))"""
    x = t["x"]
    q, k, v = ((x @ t[name].T).reshape(len(x), heads, -1) for name in ("Wq", "Wk", "Wv"))
    width, size = k.shape[2], v.shape[2]
    k = k / np.sqrt(width)
    i, f = x @ t["Wi"].T + t["bi"], -softplus(-(x @ t["Wf"].T + t["bf"]))
    C, n = initial(t, "C0", heads, width, size), initial(t, "n0", heads, width)
    m = initial_maximum(t, heads)
    h = []
    for s in range(len(x)):
        before, m = m, np.maximum(f[s] + m, i[s])
        keep, add = (np.exp(a - m)[:, np.newaxis] for a in (f[s] + before, i[s]))
        C = keep[:, :, np.newaxis] * C + outer(add * k[s], v[s])
        n = keep * n + add * k[s]
        scale = np.maximum(np.abs(np.sum(n * q[s], axis=1)), np.exp(-m)) + 1e-6
        h.append(read(C, q[s]) / scale[:, np.newaxis])
    h = rms_norm(np.array(h), t["norm_w"].reshape(heads, size), 1e-6).reshape(x.shape)
    return {"y": h * sigmoid(x @ t["Wog"].T) @ t["Wo"].T, "C_last": C, "n_last": n, "m_last": m}


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
    "gated_deltanet": gated_deltanet,
    "rwkv7": rwkv7,
    "mlstm": mlstm,
    "slstm": slstm,
    "rglru": rglru,
    "ssru": ssru,
    "short_conv": short_conv,
    "modern": modern,
    "modern_decode": modern_decode,
}
