"""Print which layer is faster at which size, from the summary of a run folder."""
from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import claims, prediction, ratios
from seqbench.words import wording

SHORT = ("S 16..128", 16, 128)
LONG = ("S >= 1024", 1024, np.inf)
FAR_BELOW = 8  # S is "far below H" when S <= H / 8
ARTICLE = ["lstm", "rnn"]  # the layers that the sentences speak of; tables show every layer
# Rows of the crossover table, in this order; other engines between the first two.
MEASURED, COUNTED, PRICE = "measured", "counted", "an operation"
ROWS = {MEASURED: 0, COUNTED: 2, PRICE: 3}
WHERE_FASTER = ("SeqLen at which a layer is faster than the Transformer block (fastest variants, "
                "within the grid), measured and counted in operations, and how long one of its "
                "operations takes against one of the block's:")
AT_EQUAL_SIZE = ("SeqLen at which a layer is faster than the Transformer block at equal parameter "
                 "count: a model of as many parameters, made of that layer alone, takes less time:")
IN_ITS_PLACE = ("SeqLen at which a layer is faster than causal attention (queries, keys, values, "
                "heads and output, without the FFN), whose place in the block it takes:")
RATIOS = ("Transformer time / layer time (above 1: the layer is faster), "
          "measured and by the textbook (1 + S/H):")
MOST_KERNELS = 12  # in the table of times; of more, the fastest variant of each layer and engine


# ---- tables ------------------------------------------------------------------------------------


def drawn_kernels(summary: pd.DataFrame) -> pd.DataFrame:
    """The layers of the table of times; of many, the fastest variant of each layer and engine."""
    rows = summary[summary.kind == "layer"]
    if rows.kernel.nunique() <= MOST_KERNELS:
        return rows.assign(kernel=runs.kernel_names(rows))
    best = ratios.fastest(rows, ["layer", "tokens", "engine"])
    other = best.engine != runs.HEADLINE
    return best.assign(kernel=best.layer + (" " + best.engine).where(other, ""))


def time_table(layers: pd.DataFrame, hid_size: int) -> str:
    """Median time per token of the layers at one HidSize; * marks the fastest sequence."""
    rows = layers[layers.hid_size == hid_size]
    whole = rows[rows.tokens == "all"].groupby("seq_len").us_per_token.min()
    others = [name for name in runs.ACROSS if name != "hid_size"]
    table = rows.pivot(index=["kernel", *others, "tokens"], columns="seq_len",
                       values="us_per_token")
    names = [f"{kernel} {wording.sizes_text(dict(zip(others, sizes)))}".strip()
             + (" (one token)" if tokens == "one" else "")
             for kernel, *sizes, tokens in table.index]
    rows = [[name, *("- " if np.isnan(value) else wording.plain(value)
                     + ("*" if key[-1] == "all" and value == whole.get(seq_len) else " ")
                     for seq_len, value in values.items())]
            for name, (key, values) in zip(names, table.iterrows())]
    header = ["", *(f"S={seq_len} " for seq_len in table.columns)]
    return (f"HidSize {hid_size}: median us per token (* = fastest at that SeqLen)\n"
            + wording.wrapped_table(header, rows, kept=1, numbers_from=1))


def crossover_table(found: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Where each layer is faster than the reference, measured and by operation counts; what one
    of its operations costs."""
    labels = wording.size_labels(found)
    is_counted = (found.lens == ratios.LAYER).all()
    rows = []
    for layer, group in found.groupby("layer"):
        lines: dict[str, dict] = {}
        for row in group.itertuples():
            name = MEASURED if row.engine == runs.HEADLINE else f"{row.engine} engine"
            key = wording.size_of(row)
            lines.setdefault(name, {})[key] = wording.faster_where(row)
            if not is_counted:
                continue
            lines.setdefault(COUNTED, {})[key] = wording.faster_by_counts(row)
            if row.engine == runs.HEADLINE and np.isfinite(row.operation_price):
                lines.setdefault(PRICE, {})[key] = wording.times(row.operation_price)
        alike: dict[tuple, list[str]] = {}  # rows that say the same are one
        for name, cells in sorted(lines.items(), key=lambda line: ROWS.get(line[0], 1)):
            alike.setdefault(tuple(cells.get(key, "-") for key in labels), []).append(name)
        rows += [[layer, ", ".join(names), *cells] for cells, names in alike.items()]
    return ["layer", "faster", *labels.values()], rows


def within(cells: pd.DataFrame, band: tuple[str, float, float]) -> pd.DataFrame:
    """The cells in a band of SeqLen."""
    return cells[cells.seq_len.between(band[1], band[2])]


def ratio_table(cells: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Range of the ratio at short and long SeqLen, with the textbook's first, per HidSize."""
    labels, rows = wording.size_labels(cells), []
    for band in (SHORT, LONG):
        part = within(cells, band)
        lines = [("textbook", part, "textbook")]
        lines += [(layer, part[part.layer == layer], "ratio") for layer in cells.layer.unique()]
        for name, found, column in lines:
            groups = {key: group[column] for key, group in found.groupby(runs.ACROSS)}
            rows.append([name, band[0],
                         *(wording.short_spread(groups[key]) if key in groups else "-"
                           for key in labels)])
    return ["layer", "SeqLen", *labels.values()], rows


def claims_table(run_dirs: list[Path]) -> str:
    """What the article states, line by line, as markdown; later runs fill up the first."""
    tables = [runs.load_derived(run_dir, "claims.csv") for run_dir in run_dirs]
    return wording.markdown_table(*claims.table_rows(claims.filled_up(tables)))


# ---- sentences ---------------------------------------------------------------------------------


def machine_sentence(host: dict) -> str:
    """Where the numbers come from."""
    remark = {True: "a virtual machine: one session is not a CPU's number",
              False: "not a virtual machine"}
    virtual = remark.get(hosts.value(host, "machine", "virtual"),
                         "whether it is a virtual machine is not known")
    return f"Measured on {hosts.setup_name(host)}, one core, batch 1, float32 ({virtual})."


def cache_sentence(host: dict) -> str:
    """Sizes of the data caches that the measured core can use."""
    caches = hosts.value(host, "cpu", "caches")
    if not isinstance(caches, list) or not caches:
        return ""
    words = [f"L{cache['level']} {runs.bytes_text(cache['bytes'])}" for cache in caches]
    return f"Its caches: {', '.join(words)}."


def roof_sentence(summary: pd.DataFrame) -> str:
    """Why equal operations are not equal times: the roofs of matrix products."""
    gemm = summary[summary.kernel == "roof/sgemm"].gflops.max()
    gemv = summary[summary.kernel == "roof/sgemv"].dropna(subset="gflops")
    if gemv.empty or not np.isfinite(gemm):
        return ""
    best, worst = (gemv.loc[place] for place in (gemv.gflops.idxmax(), gemv.gflops.idxmin()))
    return (f"A multiply-add is not a multiply-add: sgemm reaches {wording.plain(gemm)} GFLOP/s, "
            f"sgemv {wording.plain(best.gflops)} with a matrix of {runs.bytes_text(best.bytes)} "
            f"and {wording.plain(worst.gflops)} with one of {runs.bytes_text(worst.bytes)}.")


def of_article(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of the layers that the sentences speak of."""
    return cells[cells.layer.isin(ARTICLE)]


def band_sentence(cells: pd.DataFrame, band: tuple[str, float, float]) -> str:
    """What was measured in a band of SeqLen."""
    cells = of_article(within(cells, band))
    if cells.empty:
        return f"At {band[0]} nothing was measured."
    words = [f"{wording.spread(group.ratio)} as long as {layer} "
             f"(median {wording.times(group.ratio.median())}; "
             f"{layer} is faster in {(group.ratio > 1).sum()} of {len(group)} cells)"
             for layer, group in cells.groupby("layer")]
    return f"At {band[0]} the Transformer block takes {wording.listing(words)}."


def far_below_sentence(cells: pd.DataFrame) -> str:
    """The textbook's first half: equal when S is far below H."""
    cells = of_article(within(cells, SHORT))
    cells = cells[cells.seq_len * FAR_BELOW <= cells.hid_size]
    if cells.empty:
        return ""
    words = [f"{wording.spread(group.ratio)} for {layer}"
             for layer, group in cells.groupby("layer")]
    return (f"Where S is far below H (S <= H/{FAR_BELOW}, {SHORT[0]}) the textbook expects equal "
            f"times ({wording.spread(cells.textbook)}); measured: {wording.listing(words)}.")


def far_above_sentence(cells: pd.DataFrame) -> str:
    """The textbook's second half: far ahead when S is in the thousands."""
    cells = of_article(within(cells, LONG))
    if cells.empty:
        return ""
    words = []
    for layer, group in cells.groupby("layer"):
        share = (group.ratio / group.textbook).median()
        amount = "larger" if share > 1 else "smaller"
        words.append(f"{wording.plain(max(share, 1 / share))} times {amount} for {layer}")
    return (f"At {LONG[0]} the textbook expects a lead of {wording.spread(cells.textbook)}; "
            f"measured, in the median cell, it is {wording.listing(words)}.")


def winner(cells: pd.DataFrame) -> str:
    """The layer with the least time over some cells (geometric mean)."""
    lead = np.log(cells.ratio).groupby(cells.layer).mean()
    return lead.idxmax() if lead.max() > 0 else runs.REFERENCE


def winner_sentence(cells: pd.DataFrame, band: tuple[str, float, float]) -> str:
    """The fastest layer at each HidSize in a band of SeqLen."""
    cells = within(cells, band)
    if cells.empty:
        return ""
    sizes: dict[str, list[str]] = {}
    for (hid_size, *others), group in cells.groupby(runs.ACROSS):
        several = len(cells.loc[cells.hid_size == hid_size, runs.ACROSS].drop_duplicates()) > 1
        text = wording.sizes_text(dict(zip(runs.ACROSS[1:], others)))
        label = f"{hid_size} ({text})" if several and text else str(hid_size)
        sizes.setdefault(winner(group), []).append(label)
    everywhere = len(sizes) == 1 and cells.hid_size.nunique() > 1
    words = [f"{layer} at every H" if everywhere else f"{layer} at H = {', '.join(found)}"
             for layer, found in sizes.items()]
    return f"Fastest of all at {band[0]}: {wording.listing(words)}."


def prediction_sentence(predicted: pd.DataFrame, summary: pd.DataFrame) -> str:
    """How near the roofs alone come to what was measured."""
    error = predicted.error[predicted.kind == "layer"].abs()
    if error.isna().all():
        return ""
    told = prediction.predicted_correctly(summary, predicted)
    return (f"From the roofs alone (products, matrix-vector products by the size of the matrix, "
            f"activations) the time of a layer is predicted with a median error of "
            f"{error.median():.0%}, of 9 in 10 cells within {error.quantile(0.9):.0%}"
            f"{', and ' + told if told else ''}.")


def what_if_sentence(changed: pd.DataFrame) -> str:
    """What other roofs do to a crossover: of the HidSizes where the roofs have one, the median."""
    where = changed.assign(where=[wording.faster_where(row) for row in changed.itertuples()])
    for layer in ARTICLE:
        rows = where[where.layer == layer]
        crossed = rows[(rows.change == "predicted") & (rows.verdict != "faster everywhere")
                       & (rows.verdict != "slower everywhere")].sort_values(runs.ACROSS)
        if len(crossed):
            median = crossed.iloc[len(crossed) // 2]
            at = rows[(rows[runs.ACROSS] == median[runs.ACROSS]).all(axis=1)]
            at = at.set_index("change")["where"]
            words = []
            for change in prediction.CHANGES:
                found = [at[name] for word in prediction.FACTORS
                         if (name := f"{change} {word}") in at]
                is_same = set(found) == {median["where"]}
                if found:
                    words.append(f"{change} {'the same' if is_same else ' or '.join(found)}")
            return (f"What moves the crossover of {layer}, by the roofs: at H = {median.hid_size} "
                    f"it is faster at {median['where']}; with {' or '.join(prediction.FACTORS)} "
                    f"{'; '.join(words)}.")
    return ""


def roof_sentences(run_dir: Path, summary: pd.DataFrame) -> list[str]:
    """What the roofs alone tell of a run; nothing where it has none."""
    files = ("predict.csv", "whatif.csv")
    if not all((run_dir / name).exists() for name in files):
        return []
    predicted, changed = (runs.load_derived(run_dir, name) for name in files)
    if list(predicted.median_ns) != list(summary.median_ns[summary.kind != "roof"]):
        return []  # of the grid of another run
    words = [prediction_sentence(predicted, summary), what_if_sentence(changed)]
    return [sentence for sentence in words if sentence]


def sentences(summary: pd.DataFrame, cells: pd.DataFrame, host: dict) -> list[str]:
    """The answer in words."""
    found = [f"{machine_sentence(host)} {cache_sentence(host)}".strip(), roof_sentence(summary)]
    if cells.empty:
        found += [f"No layer was timed beside the layer {runs.REFERENCE}: nothing to compare."]
    else:
        found += [band_sentence(cells, SHORT), far_below_sentence(cells),
                  band_sentence(cells, LONG), far_above_sentence(cells),
                  f"{winner_sentence(cells, SHORT)} {winner_sentence(cells, LONG)}".strip()]
    return [sentence for sentence in found if sentence]


# ---- output ------------------------------------------------------------------------------------


def answer(run_dir: Path, markdown: bool) -> str:
    """The answer of one run: words and tables; in a terminal also every time per token."""
    summary = runs.load_summary(run_dir)
    found = runs.load_derived(run_dir, "crossover.csv")
    cells = ratios.relative(summary)
    cells["textbook"] = 1 + cells.seq_len / cells.hid_size  # (S*H^2 + H*S^2) / (S*H^2)
    words = [*sentences(summary, cells, hosts.load(run_dir)),
             *roof_sentences(run_dir, summary)]
    tables = [(title, crossover_table(rows)) for title, lens in (
        (AT_EQUAL_SIZE, ratios.PARAMETER), (IN_ITS_PLACE, ratios.MIXER),
        (WHERE_FASTER, ratios.LAYER)) if len(rows := ratios.through(found, lens))]
    if not markdown:  # there a figure shows it
        tables.append((RATIOS, ratio_table(cells)))
    tables = tables if len(cells) else []
    if markdown:
        machine, *rest = words
        return wording.without_tags("\n\n".join(
            [machine, "\n".join(f"- {line}" for line in rest)]
            + [text for title, table in tables
               for text in (title, wording.markdown_table(*table))]))
    layers = drawn_kernels(summary)
    texts = [time_table(layers, size) for size in sorted(layers.hid_size.unique())]
    for title, table in tables:
        texts += [textwrap.fill(title, wording.WIDTH), wording.wrapped_table(*table)]
    return "\n\n".join(texts + [textwrap.fill(line, wording.WIDTH) for line in words])
