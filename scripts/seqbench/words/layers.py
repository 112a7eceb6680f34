"""All layers side by side: what they are, and which beats the Transformer block where."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import runs
from seqbench.tables import ratios
from seqbench.words import wording

TABLE_AT = (1024, 512)  # SeqLen, HidSize of the times in the table
ROOF_AT = (256, 512)  # HidSizes whose share of the roof is listed, at the same SeqLen
STEP_LENGTHS = (16, 1024, 4096)  # contexts at which a decoded token meets the steps
HEADER = ["layer", "equation", "operations per token", "sequential", "state", "variant",
          "us per token", "transformer / it", "share of roof"]


def kibi(count: float) -> str:
    """Floats as a size."""
    return runs.bytes_text(4 * count)


def registered(kernels: pd.DataFrame) -> pd.DataFrame:
    """One row per layer, in the order of the registry: what its first variant says."""
    layers = kernels[kernels.kind == "layer"]
    return layers.drop_duplicates("layer").reset_index(drop=True)


def ours(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of our engines, kernels named with theirs where they were timed with several."""
    rows = table[~table.engine.isin(runs.PEERS)]
    return rows.assign(kernel=runs.kernel_names(rows))


def timed_at(summary: pd.DataFrame, layer: str, seq_len: int, hid_size: int) -> pd.Series | None:
    """The fastest variant of a layer in one cell."""
    rows = summary[(summary.layer == layer) & (summary.kind == "layer") & (summary.samples > 0) &
                   (summary.seq_len == seq_len) & (summary.hid_size == hid_size)]
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


def table(kernels: pd.DataFrame, summary: pd.DataFrame, roofline: pd.DataFrame) -> str:
    """All layers, as markdown."""
    reference = timed_at(summary, runs.REFERENCE, *TABLE_AT)
    rows = []
    for layer in registered(kernels).itertuples():
        best = timed_at(summary, layer.layer, *TABLE_AT)
        comparable = best is not None and reference is not None and layer.tokens == "all"
        rows.append([
            layer.layer, layer.equation,
            f"{layer.operations_per_token / 1e6:.2f} M", f"{layer.sequential_share:.0%}",
            "whole sequence" if pd.isna(layer.state_floats) else kibi(layer.state_floats),
            "-" if best is None else best.kernel.partition("/")[2],
            "-" if best is None else wording.plain(best.us_per_token),
            wording.times(reference.median_ns / best.median_ns) if comparable else "-",
            roof_shares(roofline, layer.layer)])
    return wording.markdown_table(HEADER, rows)


# ---- words -------------------------------------------------------------------------------------


def ends(found: pd.DataFrame) -> str:
    """Transformer time over the layer's at both ends of the grid."""
    return wording.spread(pd.concat([found.ratio_at_min_seq_len, found.ratio_at_max_seq_len]))


def by_hid_size(found: pd.DataFrame) -> str:
    """From which SeqLen on, per HidSize."""
    words: dict[str, list[str]] = {}
    for row in found.itertuples():
        where = wording.faster_where(row)
        words.setdefault(where, []).append(str(row.hid_size))
    return "; ".join(f"H = {', '.join(sizes)}: {where}" for where, sizes in words.items())


def prefill(found: pd.DataFrame) -> str:
    """Where each layer beats the block, best of all engines: everywhere, nowhere, or by HidSize."""
    everywhere, nowhere, nearly, between = [], [], [], []
    for layer in dict.fromkeys(found.layer):
        rows = found[found.layer == layer]
        rows = rows[rows.engine == ("any" if (rows.engine == "any").any() else runs.HEADLINE)]
        if (rows.verdict == "faster everywhere").all():
            everywhere.append(f"{layer} ({ends(rows)})")
        elif (rows.verdict == "slower everywhere").all():
            nowhere.append(f"{layer} ({ends(rows)})")
        elif len(rows) > 1 and (rows.verdict != "faster everywhere").sum() == 1:
            nearly.append(f"{layer} ({by_hid_size(rows[rows.verdict != 'faster everywhere'])})")
        else:
            between.append(f"- {layer}: {by_hid_size(rows)}")
    lines = [f"- at every SeqLen and HidSize (ratio at the ends of the grid): "
             f"{wording.listing(everywhere)}"] if everywhere else []
    lines += [f"- at every SeqLen but at one HidSize: {wording.listing(nearly)}"] if nearly else []
    lines += [f"- nowhere: {wording.listing(nowhere)}"] if nowhere else []
    return "\n".join(lines + between)


def decode(summary: pd.DataFrame) -> str:
    """A token of the GPT block against a cache, over one step of each layer with carried state."""
    hid_size = TABLE_AT[1]
    steps = summary[(summary.kind == "step") & (summary.samples > 0)
                    & (summary.hid_size == hid_size)]
    steps = steps.loc[steps.groupby("layer").median_ns.idxmin()]  # of several engines
    tokens = {seq_len: timed_at(summary, "decode", seq_len, hid_size) for seq_len in STEP_LENGTHS}
    tokens = {seq_len: token for seq_len, token in tokens.items() if token is not None}
    words = []
    for row in steps.sort_values("median_ns").itertuples():
        ratios = [wording.times(token.median_ns / row.median_ns) for token in tokens.values()]
        if ratios:
            words.append(f"{wording.listing(ratios)} as long as one step of {row.layer} "
                         f"({wording.plain(row.median_ns / 1000)} us)")
    lengths = wording.listing([str(seq_len) for seq_len in tokens])
    return (f"With {lengths} tokens of context a decoded token takes {'; '.join(words)}."
            if words else "")


def section(run_dir: Path) -> str:
    """The README's part on all layers, from the run of a zoo."""
    summary, kernels = ours(runs.load_summary(run_dir)), runs.load_kernels(run_dir)
    roofline = ours(runs.load_derived(run_dir, "roofline.csv"))
    found = ratios.through(runs.load_derived(run_dir, "crossover.csv"), ratios.LAYER)
    seq_len, hid_size = TABLE_AT
    return "\n\n".join([
        f"Times at S = {seq_len}, H = {hid_size}; the share of the roof at H = "
        f"{wording.listing([str(size) for size in ROOF_AT])}. Operations count 2 per multiply-add; "
        "`sequential` is the share of them that waits for the token before.",
        table(kernels.reset_index(), summary, roofline),
        "Prefill (a whole sequence at once): where each layer is faster than the Transformer "
        "block, fastest variants of both.",
        prefill(found),
        f"Decode (one token, H = {hid_size}): the block reads its whole cache, a recurrent layer "
        f"its state. {decode(summary)}".strip()])
