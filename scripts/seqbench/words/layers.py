"""All layers side by side: what they are, how fast, and what one token takes."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import hosts, runs
from seqbench.words import answer, wording

TABLE_AT = (512, 512)  # SeqLen, HidSize of the times in the table
ROOF_AT = (256, 512)  # HidSizes whose share of the roof is listed, at the same SeqLen
STEP_LENGTHS = (16, 512, 4096)  # contexts at which a decoded token meets the steps
HEADER = ["layer", "job", "equation", "parameters", "operations per token", "sequential", "state",
          "fastest algorithm", "µs per token", "share of roof", "source"]
FORMS = [("recurrent", "chunked"), ("primal", "dual")]  # token by token; many tokens by products
FORM_LENGTHS = (16, 64, 512, 4096)
KERNELS_AT = 512  # HidSize at which kernels.csv counts
FIRST = ["transformer", "lstm", "gru", "rnn", "mamba"]  # of the front page


def kibi(count: float) -> str:
    """Floats as a size."""
    return runs.bytes_text(4 * count)


def registered(kernels: pd.DataFrame) -> pd.DataFrame:
    """One row per layer, in the order of the registry: what its first variant says."""
    layers = kernels[kernels.kind == "layer"]
    return layers.drop_duplicates("layer").reset_index(drop=True)


def ours(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of our engines of float32, kernels named with theirs where there are several."""
    rows = table[~runs.is_peer(table.engine) & ~runs.is_narrow(table.engine)]
    return rows.assign(kernel=runs.kernel_names(rows))


def timed_at(summary: pd.DataFrame, layer: str, seq_len: int, hid_size: int,
             variant: str | None = None) -> pd.Series | None:
    """The fastest variant of a layer in one cell, or this one with the fastest engine."""
    rows = summary[(summary.layer == layer) & (summary.kind == "layer") & (summary.samples > 0) &
                   (summary.seq_len == seq_len) & (summary.hid_size == hid_size)]
    if variant is not None:
        rows = rows[rows.variant == variant]
    return None if rows.empty else rows.loc[rows.median_ns.idxmin()]


def roof_shares(roofline: pd.DataFrame, layer: str) -> str:
    """Share of the bound of the fastest variant at each of the HidSizes."""
    rows = roofline[(roofline.layer == layer) & (roofline.kind == "layer") &
                    (roofline.seq_len == TABLE_AT[0]) & roofline.share.notna()]
    shares = []
    for hid_size in ROOF_AT:
        cell = rows[rows.hid_size == hid_size]
        shares.append("-" if cell.empty else f"{cell.loc[cell.median_ns.idxmin()].share:.0%}")
    return ", ".join(shares)


def state_of(layer) -> str:
    """What a layer carries from token to token."""
    return "whole sequence" if pd.isna(layer.state_floats) else kibi(layer.state_floats)


def in_h2(parameters: float) -> str:
    """Parameters as a multiple of H^2, at the HidSize of kernels.csv."""
    return f"{wording.two(parameters / KERNELS_AT ** 2)} H²" if parameters > 0 else "-"


def table(kernels: pd.DataFrame, summary: pd.DataFrame, roofline: pd.DataFrame) -> str:
    """All layers, as markdown."""
    rows = []
    for layer in registered(kernels).itertuples():
        best = timed_at(summary, layer.layer, *TABLE_AT)
        rows.append([
            layer.layer, layer.job, layer.equation, in_h2(layer.parameters),
            f"{wording.two(layer.operations_per_token / 1e6)} M", f"{layer.sequential_share:.0%}",
            state_of(layer), "-" if best is None else best.kernel.partition("/")[2],
            "-" if best is None else wording.two(best.us_per_token),
            roof_shares(roofline, layer.layer), layer.source or "-"])
    return wording.markdown_table(HEADER, rows)


def first_table(kernels: pd.DataFrame) -> str:
    """The layers of the front page: equation, parameters, state."""
    layers = registered(kernels).set_index("layer", drop=False)
    rows = [[name, layers.loc[name].equation, in_h2(layers.loc[name].parameters),
             state_of(layers.loc[name])] for name in FIRST if name in layers.index]
    return wording.markdown_table(["layer", "equation", "parameters", "state"], rows)


def first_section(run_dir: Path) -> str:
    """What is compared, for the front page."""
    return first_table(runs.load_kernels(run_dir).reset_index())


# ---- words -------------------------------------------------------------------------------------


def decode(summary: pd.DataFrame) -> str:
    """A token of a block against a cache, over one step of each layer with carried state."""
    hid_size = TABLE_AT[1]
    block = next((layer for layer in runs.ONE_TOKEN[::-1] if (summary.layer == layer).any()), runs.ONE_TOKEN[0])
    steps = summary[(summary.kind == "step") & (summary.samples > 0)
                    & (summary.hid_size == hid_size)]
    steps = steps.loc[steps.groupby("layer").median_ns.idxmin()]  # of several engines
    tokens = {seq_len: timed_at(summary, block, seq_len, hid_size) for seq_len in STEP_LENGTHS}
    tokens = {seq_len: token for seq_len, token in tokens.items() if token is not None}
    rows = [[row.layer, wording.two(row.median_ns / 1000),
             *(wording.times(token.median_ns / row.median_ns) for token in tokens.values())]
            for row in steps.sort_values("median_ns").itertuples()]
    head = ["layer", "µs per step", *(f"{block} / it, {seq_len} tokens" for seq_len in tokens)]
    return wording.markdown_table(head, rows)


def forms(summary: pd.DataFrame) -> str:
    """Layers with a state: many tokens at once by matrix products, over token by token."""
    rows = []
    for layer, own in summary[summary.kind == "layer"].groupby("layer", sort=False):
        for single, many in FORMS:
            if not {single, many} <= set(own.variant):
                continue
            times = [[timed_at(own, layer, seq_len, TABLE_AT[1], variant) for variant in (many, single)]
                     for seq_len in FORM_LENGTHS]
            rows.append([layer, f"{many} / {single}", *(
                "-" if chunk is None or step is None
                else wording.times(chunk.median_ns / step.median_ns) for chunk, step in times)])
    return wording.markdown_table(["layer", "forms", *(f"S={size}" for size in FORM_LENGTHS)], rows)


def section(run_dir: Path) -> str:
    """All layers, from a run of them."""
    summary, kernels = ours(runs.load_summary(run_dir)), runs.load_kernels(run_dir)
    roofline = ours(runs.load_derived(run_dir, "roofline.csv"))
    seq_len, hid_size = TABLE_AT
    roof_at = wording.listing([str(size) for size in ROOF_AT])
    return "\n\n".join([
        answer.machine_sentence(hosts.load(run_dir)),
        f"Parameters, operations and state at H = {KERNELS_AT}; operations count 2 per "
        "multiply-add, and `sequential` is the share of them that waits for the token before. "
        f"Times at S = {seq_len}, H = {hid_size}, fastest algorithm and engine. Share of roof: the "
        f"least time that the run's own roofs allow over the time taken, at S = {seq_len} and "
        f"H = {roof_at}; above 100 % a kernel reads its weights faster than `roof/read` does.",
        table(kernels.reset_index(), summary, roofline)])


def forms_section(run_dir: Path) -> str:
    """Token by token against many tokens at once."""
    return forms(ours(runs.load_summary(run_dir)))


def decode_section(run_dir: Path) -> str:
    """One token at a time."""
    return decode(ours(runs.load_summary(run_dir)))
