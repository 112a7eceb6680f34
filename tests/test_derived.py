"""Tests of what is derived from a summary: planted machines and kernels in, known answers out."""
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from test_scripts import (PACKING, PREDICTIONS, README, TABLES, VIRTUAL, sample, summarised, table,
                          write_run)

from conftest import command
from seqbench.read import dimensions, runs
from seqbench.tables import (claims, crossover, derived, fit, medians, noise, prediction, rates,
                             roofline, ratios, trust)
from seqbench.words import wording

KIB, MIB = 2 ** 10, 2 ** 20
LENGTHS = [16, 64, 256, 1024, 4096]
COSTS = dict.fromkeys(runs.COSTS, 0)
# GB/s of each level of the planted machine, and the roofs that show them.
RATES = {16 * KIB: 200, 512 * KIB: 100, 8 * MIB: 50, 128 * MIB: 20}
FMA, SGEMM = 100.0, 80.0
EVALUATIONS = {"exp": 4.0, "sigmoid": 2.0, "tanh": 1.0}


JOBS = {"mingru": "mixer", "causal_attention": "mixer", "transformer": "block"}


def row(kernel, seq_len, hid_size, ns, heads=1, engine="openblas", tokens="all", batch=1,
        batches="together", **costs):
    """One row of a summary."""
    layer, variant = kernel.replace(".", "/").split("/")
    kind = "roof" if layer == "roof" else "part" if "." in kernel else "layer"
    found = COSTS | costs
    is_step = tokens == "one" or variant in ("literal", "fused")
    return {"products": "step" if is_step else "sequence", "bytes_per_weight": 4.0, "roof": "fma",
            "packing": PACKING.get(engine, "unknown"), "job": JOBS.get(layer, "none"), "kernel": kernel, "kind": kind, "layer": layer, "variant": variant, "cache": "hot",
            **dimensions.ABSENT, "seq_len": seq_len, "hid_size": hid_size, "heads": heads, "batch": batch, "engine": engine,
            "batches": batches,
            "tokens": tokens, "samples": 3, "median_ns": float(ns), **found,
            "gflops": found["flops"] / ns, "gbytes_per_s": found["bytes"] / ns}


def frame(rows):
    """Rows as a summary."""
    return pd.DataFrame(rows).astype(dict.fromkeys(runs.COSTS, "Int64"))


def machine_rows():
    """The roofs of the planted machine."""
    rows = [row("roof/fma", 4096, 1, 1000, flops=int(1000 * FMA)),
            row("roof/sgemm", 512, 512, 2 * 512 ** 3 / SGEMM, flops=2 * 512 ** 3,
                parameters=512 ** 2)]
    rows += [row(f"roof/{name}", 1, 1024, 1024 / rate, **{f"{name}s": 1024})
             for name, rate in EVALUATIONS.items()]
    rows += [row("roof/read", size // 4096, 1024, size / rate, bytes=size + 4)
             for size, rate in [*RATES.items(), (32 * KIB, 200), (MIB, 100)]]  # a cache, full
    for size, rate in RATES.items():
        side = round((size / 4) ** 0.5)
        rows.append(row("roof/sgemv", 1, side, 4 * side ** 2 / (rate / 2), flops=2 * side ** 2,
                        parameters=side ** 2))
    return rows


MACHINE = rates.roofs_of(frame(machine_rows()), VIRTUAL)


# ---- roofs -------------------------------------------------------------------------------------


def test_roofs_are_those_planted():
    assert MACHINE.fma == FMA and MACHINE.sgemm == pytest.approx(SGEMM)
    assert MACHINE.evaluations == pytest.approx(EVALUATIONS)
    assert MACHINE.level_rates() == pytest.approx([200, 100, 50, 20])
    assert MACHINE.sgemv.at(16 * KIB) == pytest.approx(1 / 100)
    assert MACHINE.sgemv.at(1) == MACHINE.sgemv.at(16 * KIB)


@pytest.mark.parametrize("size, expected", [
    (0, 0), (16 * KIB, 16 * KIB / 200), (32 * KIB, 32 * KIB / 200),
    (64 * KIB, 32 * KIB / 200 + 32 * KIB / 100),
    (4 * MIB, 32 * KIB / 200 + (MIB - 32 * KIB) / 100 + 3 * MIB / 50),
    (64 * MIB, 32 * KIB / 200 + (MIB - 32 * KIB) / 100 + 31 * MIB / 50 + 32 * MIB / 20),
])
def test_a_working_set_is_read_from_the_levels_that_can_hold_it(size, expected):
    assert MACHINE.reading_ns(size) == pytest.approx(expected)


@pytest.mark.parametrize("size, level", [(32 * KIB, "L1"), (32 * KIB + 1, "L2"), (MIB, "L2"),
                                         (32 * MIB, "L3"), (33 * MIB, "memory")])
def test_levels_by_size(size, level):
    assert rates.level_of(MACHINE.caches, size) == level


def test_packing_is_what_few_rows_take_longer():
    rows = machine_rows()
    rows.append(row("roof/sgemm", 16, 512, 32 * 512 ** 2 / SGEMM + 0.25 * 4 * 512 ** 2,
                    flops=32 * 512 ** 2,
            parameters=512 ** 2))
    machine = rates.roofs_of(frame(rows), VIRTUAL)
    assert machine.sgemm == pytest.approx(SGEMM)
    assert machine.packing.at(MIB) == pytest.approx(0.25)
    assert np.isnan(MACHINE.packing.at(MIB))


def test_a_larger_cache_moves_the_curve_and_nothing_else():
    larger = rates.changed(MACHINE, "L2 size", 2)
    at = dict(zip(larger.sgemv.sizes, larger.sgemv.ns_per_byte))
    sizes = np.array(larger.sgemv.sizes)
    assert sizes[0] == pytest.approx(16 * KIB) and sizes[-1] == pytest.approx(128 * MIB, rel=1e-3)
    assert sizes[1] > 512 * KIB and 8 * MIB < sizes[2] < 16 * MIB
    assert list(at.values()) == list(MACHINE.sgemv.ns_per_byte)
    assert larger.fma == MACHINE.fma and larger.read == MACHINE.read


def test_a_faster_level_is_faster_there_alone():
    faster = rates.changed(MACHINE, "L3 bandwidth", 2)
    ratio = np.array(MACHINE.sgemv.ns_per_byte) / faster.sgemv.ns_per_byte
    assert list(ratio) == pytest.approx([1, 1, 2, 1])
    assert rates.changed(MACHINE, "FMA rate", 2).sgemm == 2 * MACHINE.sgemm


# ---- roofline ----------------------------------------------------------------------------------


def test_bound_is_the_sum_of_its_planted_parts():
    size = 4 * MIB
    rows = machine_rows() + [row("lstm/a", 10, 1024, 1e7, flops=10_000_000 + 10 * size // 2,
                                 streamed_bytes=10 * size, exps=800, logs=100,
                                 rsqrts=100, sigmoids=4000, tanhs=3000,
                                 elementwise_flops=5000, bytes=1)]
    found = roofline.roofline(frame(rows), VIRTUAL).iloc[0]
    stream = 10 * float(MACHINE.reading_ns(size))
    assert found.gemm_ns == pytest.approx(10_000_000 / FMA)
    assert found.stream_ns == pytest.approx(stream) and found.working_set_bytes == size
    evaluations = (800 + 100 + 100) / 4 + 4000 / 2 + 3000 / 1
    assert found.transcendental_ns == pytest.approx(evaluations)
    assert found.elementwise_ns == pytest.approx(5000 / (FMA / 2))
    assert found.bound_ns == pytest.approx(100_000 + stream + evaluations + 100)
    assert found.share == pytest.approx(found.bound_ns / 1e7)


def test_streaming_from_l1_is_bound_by_its_multiply_adds():
    rows = [kept for kept in machine_rows() if kept["kernel"] != "roof/fma"]
    rows += [row("roof/fma", 1, 1, 1000, flops=50_000),
             row("rnn/a", 8, 64, 1e6, flops=8 * 8192, streamed_bytes=8 * 16384)]
    found = roofline.roofline(frame(rows), VIRTUAL).iloc[0]
    assert found.stream_ns == pytest.approx(8 * 8192 / 50) and found.gemm_ns == 0


def test_one_token_walks_through_its_bytes_once():
    rows = machine_rows() + [row("decode/a", 64, 512, 1e6, tokens="one", flops=2 * MIB,
                                 streamed_bytes=4 * MIB)]
    found = roofline.roofline(frame(rows), VIRTUAL).iloc[0]
    assert found.working_set_bytes == 4 * MIB
    assert found.stream_ns == pytest.approx(float(MACHINE.reading_ns(4 * MIB)))


def test_parts_without_a_roof_are_empty_and_not_in_the_bound():
    fma = [kept for kept in machine_rows() if kept["kernel"] == "roof/fma"]
    rows = fma + [row("lstm/a", 10, 64, 1e6, flops=1_000_000, streamed_bytes=1000,
                      exps=5)]
    found = roofline.roofline(frame(rows), VIRTUAL).iloc[0]
    assert np.isnan(found.transcendental_ns) and np.isnan(found.stream_ns)
    assert found.bound_ns == found.gemm_ns == pytest.approx((1_000_000 - 500) / FMA)


def test_weights_are_the_bytes_that_do_not_grow():
    rows = [row("transformer/a", s, 64, 1, bytes=50_000 + 512 * s) for s in (16, 64, 256)]
    rows.append(row("lstm/a", 4, 64, 1, bytes=777))
    assert list(roofline.weight_bytes(frame(rows))) == [50_000] * 3 + [777]


# ---- fit ---------------------------------------------------------------------------------------

PLANTED = {"sh2_ns": 0.02, "s2h_ns": 0.01, "sh_ns": 1.0, "s_ns": 40.0, "const_ns": 3000.0}


def grown(random, planted=PLANTED, noise=0.02, lengths=LENGTHS, sizes=(64, 128, 192, 256, 384),
          kernel="transformer/a"):
    """Rows of a kernel whose time is known, but for noise."""
    rows = []
    for hid_size in sizes:
        for seq_len in lengths:
            ns = (planted["sh2_ns"] * seq_len * hid_size ** 2
                  + planted["s2h_ns"] * seq_len ** 2 * hid_size
                  + planted["sh_ns"] * seq_len * hid_size + planted["s_ns"] * seq_len
                  + planted["const_ns"])
            ns *= np.exp(random.normal(0, noise))
            rows.append(row(kernel, seq_len, hid_size, ns, streamed_bytes=seq_len * 65536))
    return rows


@pytest.mark.parametrize("planted", [PLANTED, PLANTED | dict(s2h_ns=0, s_ns=0, const_ns=0)],
                         ids=["every term", "two terms"])
def test_coefficients_are_within_their_intervals(planted):
    covered = dict.fromkeys(planted, 0)
    for seed in range(1000, 1100):
        rows = grown(np.random.default_rng(seed), planted)
        (found,) = fit.fit(frame(rows), VIRTUAL).to_dict("records")
        assert found["regime"] == "L2" and found["cells"] == 25
        for name, value in planted.items():
            covered[name] += found[f"{name}_low"] <= value <= found[f"{name}_high"]
    assert all(count >= 90 for count in covered.values()), covered


@pytest.mark.parametrize("times", [(100, 105), (100, 105, 110), (98, 99, 100, 101, 102, 103)])
def test_interval_of_one_term_is_that_of_a_mean(times):
    """One cell, timed with several head counts."""
    rows = [row("transformer/a", 64, 128, ns, heads=2 ** i) for i, ns in enumerate(times)]
    (found,) = fit.fit(frame(rows), VIRTUAL).to_dict("records")
    values = np.array(times) / (64 * 128 ** 2)
    assert values.min() < found["sh2_ns"] < values.max()
    error = values.std(ddof=1) / len(values) ** 0.5
    half = stats.t.ppf(0.975, len(values) - 1) * error
    assert found["sh2_ns_high"] - found["sh2_ns"] == pytest.approx(half, rel=0.25)
    assert found["sh2_ns"] - found["sh2_ns_low"] == pytest.approx(half, rel=0.25)


def test_interval_of_a_coefficient_minds_that_no_other_is_negative():
    """With S H^2 alone in truth, the other terms can only take from its coefficient."""
    (found,) = fit.fit(frame(grown(np.random.default_rng(5), dict.fromkeys(PLANTED, 0) |
                                   {"sh2_ns": 0.5})), VIRTUAL).to_dict("records")
    assert found["sh2_ns_low"] > 0.48
    assert found["sh2_ns"] <= found["sh2_ns_high"] < 1.02 * found["sh2_ns"]


def test_coefficients_without_noise_are_exact():
    (found,) = fit.fit(frame(grown(np.random.default_rng(1), noise=0)), VIRTUAL).to_dict("records")
    assert [found[name] for name in PLANTED] == pytest.approx(list(PLANTED.values()), rel=1e-6)
    assert found["residual_max"] < 1e-9
    # (0.02 H^2 + H + 40) / (0.01 H)
    assert found["growth"] == "quadratic from S = 290 at H = 64 to S = 878 at H = 384"


def test_terms_that_cannot_be_told_apart_are_left_out():
    random = np.random.default_rng(2)
    one_size = fit.fit(frame(grown(random, noise=0, sizes=[64])), VIRTUAL).iloc[0]
    assert one_size.sh2_ns == pytest.approx(0.02 + 1 / 64 + 40 / 64 ** 2)
    assert one_size.const_ns == pytest.approx(3000)
    assert np.isnan(one_size[["sh_ns", "s_ns"]].astype(float)).all()
    cells = fit.fit(frame(grown(random, lengths=[16, 64], sizes=[64])), VIRTUAL).iloc[0]
    assert cells[["sh2_ns", "s2h_ns"]].notna().all() and np.isnan(cells.const_ns)
    step = fit.fit(frame(grown(random, noise=0, lengths=[1])), VIRTUAL).iloc[0]
    assert np.isnan(step.s2h_ns) and step.sh_ns == pytest.approx(1.01)
    assert step.growth == "one SeqLen only" and np.isnan(step.exponent_s)


def test_each_cache_has_a_fit_of_its_own():
    rows = [row("rnn/a", s, h, s * h * h * (1 if h < 500 else 3), streamed_bytes=4 * s * h * h)
            for s in LENGTHS for h in (32, 64, 128, 256, 512, 1024)]
    found = fit.fit(frame(rows), VIRTUAL).set_index("regime")
    assert list(found.index) == ["L1", "L2", "L3"]
    assert list(found.cells) == [10, 15, 5]
    assert found.sh2_ns["L1"] == pytest.approx(1) and found.sh2_ns["L3"] == pytest.approx(3)
    assert list(found.growth) == ["linear in S"] * 3
    assert list(found.exponent_s) == pytest.approx([1, 1, 1])
    assert found.exponent_h["L1"] == pytest.approx(2)


def test_residual_is_the_planted_deviation_of_each_cell():
    rows = grown(np.random.default_rng(1), noise=0) + grown(
        np.random.default_rng(1), noise=0, sizes=[64], kernel="rnn/a") + machine_rows()
    summary = frame(rows)
    fits = fit.fit(summary, VIRTUAL)
    exact = fit.residuals(summary, VIRTUAL, fits)
    assert list(exact.kernel) == ["transformer/a"] * 25 + ["rnn/a"] * 5
    assert abs(exact.residual).max() < 1e-9
    summary.loc[7, "median_ns"] *= 1.25
    found = fit.residuals(summary, VIRTUAL, fits)
    assert found.residual[7] == pytest.approx(1 / 1.25 - 1)
    assert found.fitted_ns[7] == pytest.approx(exact.median_ns[7])
    assert abs(found.residual.drop(7)).max() < 1e-9


def test_what_rounding_leaves_of_a_residual_is_nothing():
    fitted = np.array([1.0, 1 + 2.0 ** -52, 1 - 2.0 ** -53, 1.5])
    assert runs.csv_text(pd.DataFrame({"x": fit.deviation(fitted, np.ones(4))})) == "x\n0\n0\n0\n0.5\n"


def test_exponents_are_slopes_with_a_level_per_other_size():
    s, h = (axis.ravel() for axis in np.meshgrid([16.0, 64, 256], [64.0, 128]))
    assert fit.exponent(s, h, 5 * s ** 1.3 * h ** 1.8) == pytest.approx(1.3)
    assert fit.exponent(h, s, 5 * s ** 1.3 * h ** 1.8) == pytest.approx(1.8)


# ---- crossovers --------------------------------------------------------------------------------


def lens_rows():
    """A block of 100 parameters; a layer of half of them that takes half the time, and mixers."""
    times = {"transformer/tiled": (100, 1000), "rnn/hoisted": (50, 500),
             "mingru/hoisted": (30, 250), "causal_attention/tiled": (40, 500)}
    return frame([row(kernel, seq_len, 64, ns * seq_len, flops=ns * seq_len, parameters=parameters)
                  for kernel, (parameters, ns) in times.items() for seq_len in (16, 32)])


def test_lens_parameter_calls_half_the_parameters_in_half_the_time_equal():
    seen = ratios.relative(lens_rows(), lens=ratios.PARAMETER)
    assert dict(seen.groupby("layer").ratio.mean()) == pytest.approx(
        {"rnn": 1.0, "mingru": 1.2, "causal_attention": 0.8})
    assert seen.flops_ratio.to_numpy() == pytest.approx(seen.ratio.to_numpy())


def test_lens_mixer_meets_no_block():
    seen = ratios.relative(lens_rows(), lens=ratios.MIXER)
    assert set(seen.layer) == {"mingru"} and set(seen.kernel_reference) == {"causal_attention/tiled"}
    assert seen.ratio.to_numpy() == pytest.approx([2, 2])


def test_lens_layer_is_the_ratio_of_times():
    seen = ratios.relative(lens_rows())
    assert dict(seen.groupby("layer").ratio.mean()) == pytest.approx(
        {"rnn": 2.0, "mingru": 4.0, "causal_attention": 2.0})


def test_crossover_table_holds_every_lens_with_intervals_of_its_own(tmp_path):
    rows = [sample(kernel, seq_len, 64, ns * seq_len ** power, number=number, round=round,
                   parameters=parameters)
            for kernel, ns, power, parameters in (("transformer/tiled", 16, 2, 100),
                                                  ("rnn/hoisted", 1024, 1, 25))
            for seq_len in (16, 64, 256, 1024) for round in (0, 1) for number in (0, 1)]
    found = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert [(line["lens"], line["layer"], float(line["faster_from_seq_len"])) for line in found] == [
        ("layer", "rnn", pytest.approx(64)), ("parameter", "rnn", pytest.approx(256))]
    assert [float(line["crossing_low"]) for line in found] == pytest.approx([64, 256], rel=1e-2)


def crossing_run(folder, random, at=100, noise=0.01):
    """A run in which lstm becomes faster at some SeqLen: 3 rounds of 3 samples."""
    rows = []
    for seq_len in (16, 64, 256, 1024):
        ratio = (seq_len / at) ** 0.7
        for kernel, ns in (("lstm/hoisted", 1e5), ("transformer/full", 1e5 * ratio)):
            rows += [sample(kernel, seq_len, 64, ns * np.exp(random.normal(0, noise)),
                            round=round, number=number)
                     for round in range(3) for number in range(3)]
    return write_run(folder, rows)


def crossover_of(run):
    """Its crossover, without the other tables."""
    samples = runs.samples_with_tokens(run)
    table_of = noise.noise_table(samples)
    own = ratios.own_noise(table_of)
    summary = medians.summarise(samples, table_of).assign(job="none")
    compared = ratios.through(ratios.ratios(summary, own), ratios.LAYER)
    (found,) = crossover.crossover(compared, ratios.drawn_from(own)).to_dict("records")
    return found


def test_crossovers_and_their_intervals_hold_the_planted_one(tmp_path):
    near = covered = 0
    for seed in range(100):
        found = crossover_of(crossing_run(tmp_path / "run", np.random.default_rng(seed)))
        near += abs(found["faster_from_seq_len"] / 100 - 1) < 0.02
        low, high = found["crossing_low"], found["crossing_high"]
        covered += not low > 100 and 100 <= high
    assert near >= 85 and covered >= 90, (near, covered)


def test_interval_of_a_crossing_near_the_end_of_the_grid_is_open(tmp_path):
    rows = []
    for seq_len, ratio in ((16, 0.5), (64, 0.9), (256, 1.01)):
        for round in range(5):
            ns = 1000 + 30 * ((7 * round + seq_len // 16) % 5)
            rows += [sample("lstm/hoisted", seq_len, 64, ns, round=round),
                     sample("transformer/full", seq_len, 64, ratio * 1060, round=round)]
    (found,) = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert found["crossing_high"] == "" and found["verdict"] == "never faster"


def test_nearest_crossing_of_the_same_direction_counts():
    seq_len = np.array([1.0, 4, 16, 64])
    ratios = np.array([[0.5, 2, 0.5, 2], [2, 2, 2, 2], [0.5, 0.5, 0.5, 0.5], [2, 0.5, 0.5, 0.5]])
    found = crossover.resampled_crossings(seq_len, ratios, 30, True)
    assert list(found) == pytest.approx([32, 0, np.inf, np.inf])


def test_headline_is_of_one_engine_and_the_best_of_all_stands_beside_it(tmp_path):
    rows = []
    for seq_len in (16, 64):
        rows += [sample("lstm/hoisted", seq_len, 64, 1000), sample("lstm/packed", seq_len, 64, 100),
                 sample("transformer/full", seq_len, 64, 500),
                 sample("decode/cached", seq_len, 64, 1, flops=1)]
    run = summarised(tmp_path / "run", rows, traits={"lstm/packed": ("packed", "all"),
                                                     "decode/cached": ("openblas", "one")})
    assert [(found["layer"], found["engines"], found["verdict"])
            for found in table(run / "crossover.csv")] == [
        ("lstm", "any", "no difference"), ("lstm", "openblas", "no difference")]  # of one round
    by_kernel = {(found["kernel"], found["seq_len"]): found for found in table(run / "summary.csv")}
    assert by_kernel["lstm/packed", "16"]["engine"] == "packed"
    assert by_kernel["decode/cached", "64"]["us_per_token"] == "0.001"
    assert by_kernel["lstm/packed", "64"]["us_per_token"] == "0.0015625"


def test_each_engine_of_ours_is_compared_with_the_reference_in_the_same_engine(tmp_path):
    times = {"openblas": (400, 500), "packed": (300, 200), "onednn": (50, 250)}
    rows = [sample(kernel, seq_len, 64, ns, engine=engine) for seq_len in (16, 64)
            for engine, pair in times.items()
            for kernel, ns in zip(("lstm/hoisted", "transformer/full"), pair)]
    found = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert {row["engines"]: float(row["ratio_at_max_seq_len"]) for row in found} == {
        "openblas": 500 / 400, "packed": pytest.approx(200 / 300, rel=1e-6), "any": 200 / 50}


def test_an_engine_without_the_reference_is_in_any_alone(tmp_path):
    rows = [sample(kernel, seq_len, 64, ns, engine=engine) for seq_len in (16, 64)
            for kernel, ns, engine in (("lstm/hoisted", 400, "openblas"),
                                       ("transformer/full", 500, "openblas"),
                                       ("lstm/hoisted", 250, "packed"))]
    found = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert [(row["engines"], row["ratio_at_max_seq_len"]) for row in found] == [
        ("any", "2"), ("openblas", "1.25")]


def test_parts_are_taken_of_the_engine_asked_for_or_of_the_one_there_is():
    rows = [row("transformer/full", 16, 64, 1000), row("transformer.qkv", 16, 64, 300),
            row("transformer.qkv", 16, 64, 200, engine="packed"),
            row("transformer.softmax", 16, 64, 100, engine="none")]
    for engine, qkv in (("openblas", 300), ("packed", 200)):
        (found,) = medians.part_times(frame(rows), "transformer", engine).to_dict("records")
        assert found == {"qkv": qkv, "softmax": 100}


def test_operations_that_were_not_counted_give_no_verdict(tmp_path):
    rows = [sample(kernel, seq_len, 64, 100, flops=0) for seq_len in (16, 64)
            for kernel in ("lstm/hoisted", "transformer/full")]
    (found,) = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert found["arithmetic_verdict"] == "unknown" and found["operation_price"] == ""
    (crossed,) = runs.load_derived(tmp_path / "run", "crossover.csv").itertuples()
    assert wording.faster_by_counts(crossed) == "unknown"


def test_price_of_an_operation_is_the_planted_one(tmp_path):
    rows = []
    for seq_len in (16, 64, 256):
        rows += [sample("lstm/hoisted", seq_len, 64, 300 * seq_len, flops=100 * seq_len),
                 sample("transformer/full", seq_len, 64, 150 * seq_len, flops=200 * seq_len)]
    (found,) = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert float(found["operation_price"]) == pytest.approx((300 / 100) / (150 / 200))


# ---- predictions -------------------------------------------------------------------------------


def predicted(rows):
    """The predictions of some rows, on the planted machine."""
    return prediction.predict(frame(machine_rows() + rows), MACHINE).to_dict("records")


def test_kernels_made_of_roofs_are_predicted_exactly():
    size = 16 * KIB
    stream = 10 * size / (200 / 2)
    hoisted = row("lstm/hoisted", 10, 64, 1, flops=10 * size // 2 + 80_000,
                  streamed_bytes=10 * size, sigmoids=200, tanhs=100, elementwise_flops=500)
    fused = row("lstm/fused", 10, 64, 1, flops=10 * size // 2, streamed_bytes=5 * size)
    block = row("transformer/full", 10, 64, 1, flops=80_000, exps=400)
    decode = row("decode/cached", 99, 64, 1, flops=size // 2, tokens="one", streamed_bytes=size)
    found = predicted([hoisted, fused, block, decode])
    gates = 200 / 2 + 100 / 1
    expected = [1000 + stream + gates + 500 / (FMA / 2), stream, 1000 + 400 / 4, stream / 10]
    assert [line["predicted_ns"] for line in found] == pytest.approx(expected)
    assert [line["error"] for line in found] == pytest.approx([value - 1 for value in expected])


def test_packed_weights_cost_what_the_roof_says():
    rows = machine_rows() + [
        row("roof/sgemm", 16, 512, 32 * 512 ** 2 / SGEMM + 0.25 * MIB, flops=32 * 512 ** 2,
            parameters=512 ** 2),
        *(row("transformer/a", s, 64, 1, flops=8000 * s, bytes=MIB + 512 * s) for s in (16, 64))]
    machine = rates.roofs_of(frame(rows), VIRTUAL)
    found = prediction.predict(frame(rows), machine)
    assert list(found.gemm_ns) == pytest.approx([100 * s + 0.25 * MIB for s in (16, 64)])


def test_weights_packed_before_the_clock_cost_nothing_and_are_walked_through_at_the_read_roof():
    size = 4 * MIB
    rows = machine_rows() + [
        row("roof/sgemm", 16, 512, 32 * 512 ** 2 / SGEMM + 0.25 * MIB, flops=32 * 512 ** 2,
            parameters=512 ** 2)]
    rows += [row(f"lstm/{engine}", 10, 1024, 1, engine=engine, bytes=2 * size,
                 flops=8000 + 10 * size // 2, streamed_bytes=10 * size)
             for engine in ("packed", "onednn", "openblas")]
    found = prediction.predict(frame(rows), rates.roofs_of(frame(rows), VIRTUAL))
    read = 10 * float(MACHINE.reading_ns(size))
    assert list(found.gemm_ns[:2]) == pytest.approx([100, 100]) and found.gemm_ns.iloc[2] > 1e6
    assert list(found.gemv_ns[:2]) == pytest.approx([read, read])
    assert found.gemv_ns.iloc[2] == pytest.approx(10 * size * float(MACHINE.sgemv.at(size)))


def test_weights_of_fewer_bytes_are_more_weights():
    size = 16 * KIB
    half = row("lstm/hoisted", 10, 64, 1, engine="packed", flops=10 * size + 80_000,
               streamed_bytes=10 * size) | {"bytes_per_weight": 2.0}
    (found,) = predicted([half])
    assert found["gemm_ns"] == pytest.approx(80_000 / SGEMM)
    assert found["gemv_ns"] == pytest.approx(10 * size / FMA)  # its multiply-adds take longer


@pytest.mark.parametrize("fact, word", [("packing", "unknown"), ("products", "unknown"),
                                        ("bytes_per_weight", float("nan"))])
def test_what_kernels_csv_does_not_say_is_not_predicted(fact, word):
    known = row("lstm/hoisted", 10, 64, 1, flops=80_000)
    found = predicted([known, known | {"kernel": "lstm/odd", fact: word}])
    assert found[0]["predicted_ns"] > 0
    assert all(np.isnan(found[1][name]) for name in (*prediction.PARTS, "predicted_ns", "error"))


def crossing_rows():
    """lstm streams 4 MiB per step, the transformer has no steps: they cross where S = 64."""
    rows = []
    for s in (16, 32, 64, 128, 256):
        lstm = s * 4 * MIB / 25  # of 4 MiB the curve says 25 GB/s, more or less
        rows += [row("lstm/hoisted", s, 1024, lstm, flops=s * 2 * MIB,
                     streamed_bytes=s * 4 * MIB),
                 row("transformer/full", s, 1024, lstm * (s / 64) ** 0.5,
                     flops=int(SGEMM * lstm * (s / 64) ** 0.5))]
    return rows


def test_what_if_table_moves_the_planted_crossover():
    table_of = prediction.what_if(frame(machine_rows() + crossing_rows()), MACHINE)
    found = table_of.set_index("change").faster_from_seq_len
    assert found["measured"] == pytest.approx(64, rel=1e-6)
    slow = float(MACHINE.sgemv.at(4 * MIB)) / (1 / 25)
    assert found["predicted"] == pytest.approx(64 * slow ** 2, rel=1e-6)
    assert found["FMA rate doubled"] == pytest.approx(found["predicted"] * 4, rel=1e-6)
    assert found["L2 size doubled"] < found["predicted"] < found["L2 size halved"]
    assert found["L3 bandwidth doubled"] < found["predicted"]
    assert set(table_of.change) == {"measured", "predicted"} | {
        f"{change} {word}" for change in prediction.CHANGES for word in prediction.FACTORS} | {
        f"{count} cores" for count in (2, 4, 8, 16, 32, 64)}


def test_a_run_without_roofs_is_not_predicted_and_says_why(tmp_path, capsys):
    run = summarised(tmp_path / "run", [sample("lstm/hoisted", 16, 64, 100)])
    assert "not timed: roof/fma, roof/sgemm, roof/sgemv" in capsys.readouterr().err
    assert not any((run / name).exists() for name in PREDICTIONS)
    assert command("predict", [str(run)]) == 2
    assert "roof/sgemv" in capsys.readouterr().err


def test_predict_takes_the_roofs_of_another_run_and_reports_its_error(tmp_path, capsys):
    machine = [sample("roof/fma", 1, 1, 10, flops=1000),
               sample("roof/sgemm", 512, 512, 10, flops=800),
               sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384, parameters=7)]
    roofs_run = summarised(tmp_path / "roofs", machine)
    run = summarised(tmp_path / "run", [
        sample("transformer/full", 64, 64, 80, flops=8000, elementwise=0, exps=0, parameters=7)])
    capsys.readouterr()
    assert command("predict", [str(run), "--roofs", str(roofs_run)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^all cases +1 +25\.0% +25\.0%$", text, re.M)
    assert "Two machines" not in text and "faster" not in text
    for name in PREDICTIONS:
        runs.validate(roofs_run / name, README)
        assert not (run / name).exists()


def test_prediction_is_not_written_over_that_of_another_grid(tmp_path, capsys):
    machine = [sample("roof/fma", 1, 1, 10, flops=1000),
               sample("roof/sgemm", 512, 512, 10, flops=800),
               sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384, parameters=7)]
    own, other = (summarised(tmp_path / name, machine + [sample("lstm/hoisted", 16, 64, ns)])
                  for name, ns in (("own", 100), ("other", 50)))
    before = (other / "predict.csv").read_bytes()
    assert command("predict", [str(own), "--roofs", str(other)]) == 2
    assert "other: has a grid of its own" in capsys.readouterr().err
    assert command("predict", [str(own), "--roofs", str(other), "-o", str(tmp_path / "out" / "x")]) == 0
    assert (other / "predict.csv").read_bytes() == before
    runs.validate(tmp_path / "out" / "x" / "predict.csv", README)


def test_prediction_says_where_layers_are_faster_and_how_often_it_is_right(tmp_path, capsys):
    machine = [sample("roof/fma", 1, 1, 10, flops=1000),
               sample("roof/sgemm", 512, 512, 10, flops=1000),
               sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384, parameters=7)]
    roofs_run = summarised(tmp_path / "roofs", machine, VIRTUAL | {"cpu": {"model": "Other 1"}})
    costs = dict(elementwise=0, exps=0, parameters=7)
    rows = []
    for seq_len, lstm, block in ((16, 100, 90), (64, 400, 500)):  # predicted: 80 and 320, 100, 400
        rows += [sample("lstm/hoisted", seq_len, 64, lstm, flops=500 * seq_len, **costs),
                 sample("transformer/full", seq_len, 64, block, flops=625 * seq_len, **costs)]
    run = summarised(tmp_path / "run", rows)
    capsys.readouterr()
    assert command("predict", [str(run), "--roofs", str(roofs_run)]) == 0
    text = capsys.readouterr().out
    assert "Two machines" in text and "Other 1" in text
    assert "Transformer block is faster is predicted correctly in 1 of 2 cells." in text
    lines = [line.split() for line in text.splitlines()]
    assert ["lstm", "predicted", "always"] in lines
    assert ["lstm", "measured", "S", ">", "25"] in lines
    for name in PREDICTIONS:  # such a folder does not pass them off as its own
        assert (roofs_run / name).exists()
    assert command("answer", [str(roofs_run)]) == 0
    assert "From the roofs alone" not in capsys.readouterr().out


def test_what_cannot_be_predicted_is_left_out(tmp_path, capsys):
    """Packed weights without roof/read; an import without costs."""
    machine = [sample("roof/fma", 1, 1, 10, flops=1000),
               sample("roof/sgemm", 512, 512, 10, flops=800),
               sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384, parameters=7)]
    roofs_run = summarised(tmp_path / "roofs", machine)
    none = dict(flops=0, elementwise=0, exps=0, streamed=0)
    rows = [sample("lstm/packed", 16, 64, 9, streamed=16 * 16384), sample("rnn/a", 16, 64, 9, **none),
            sample("transformer/full", 16, 64, 9, **none)]
    run = summarised(tmp_path / "run", rows, traits={"lstm/packed": ("packed", "all")})
    assert command("predict", [str(run), "--roofs", str(roofs_run)]) == 0
    assert "nan" not in capsys.readouterr().out
    assert {found["predicted_ns"] for found in table(roofs_run / "predict.csv")} == {""}


# ---- claims ------------------------------------------------------------------------------------


def claim_rows(**exponents):
    """Parts with planted exponents: kernel=(s, h)."""
    return [row(kernel.replace("_", "."), s, h, 10 * float(s) ** power_s * float(h) ** power_h)
            for kernel, (power_s, power_h) in exponents.items()
            for s in (16, 64, 256) for h in (64, 128, 256)]


def verdicts(rows, compared=None, host={}):
    """Verdict of all HidSizes per claim, measure and lens, of times that are known exactly."""
    if compared is None:
        compared = pd.DataFrame(columns=list(runs.schema(README, "ratios.csv")))
    summary = frame(rows).assign(job="none")
    found = claims.claims(summary, compared, lambda case: np.ones(10), host)
    every = found[found.hid_size.isna()]
    return dict(zip(zip(every.claim, every.measure), every.verdict)), found


def test_planted_exponents_hold_or_fail():
    found, rows = verdicts(claim_rows(transformer_qkv=(1, 2), transformer_ffn=(1.2, 1.9),
                                      transformer_softmax=(1.7, 1)))
    assert found["qkv", "exponent of SeqLen"] == "holds"
    assert found["qkv", "exponent of HidSize"] == "holds"
    assert found["ffn", "exponent of SeqLen"] == "fails"
    assert found["ffn", "exponent of HidSize"] == "holds"
    assert found["softmax", "exponent of SeqLen"] == "fails"
    assert found["output", "exponent of SeqLen"] == "not measured"
    of_ffn = rows[(rows.claim == "ffn") & (rows.measure == "exponent of SeqLen")]
    assert list(of_ffn.measured) == pytest.approx([1.2] * 4)
    assert of_ffn.hid_size.dropna().tolist() == [64, 128, 256]


def test_elementwise_update_is_not_what_was_printed():
    rows = [row("lstm.update", 1, h, 3 * h) for h in (64, 128, 256)]
    found, _ = verdicts(rows)
    assert found["lstm update", "exponent of HidSize"] == "fails"


def test_a_claim_that_holds_up_to_a_size_says_so():
    rows = [row("rnn.step", 1, h, h ** 2 if h < 512 else h ** 3 / 400) for h in
            (64, 128, 256, 512, 1024, 2048)]
    found, _ = verdicts(rows)
    assert found["rnn step", "exponent of HidSize"] == "holds up to H = 128"


def test_head_counts_are_compared_where_there_are_several():
    rows = [row("transformer.scores", s, 64, s * s, heads=heads) for s in (16, 64)
            for heads in (1, 4)]
    rows += [row("transformer.softmax", s, 64, s * s * heads, heads=heads) for s in (16, 64)
             for heads in (1, 4)]
    found, _ = verdicts(rows)
    assert found["scores", "exponent of HeadCount"] == "holds"
    assert found["softmax", "exponent of HeadCount"] == "holds"
    assert found["weighted sum", "exponent of HeadCount"] == "not measured"


@pytest.mark.parametrize("ratio, expected", [(1.2, "holds"), (4, "fails")])
def test_leads_are_judged_through_each_lens(tmp_path, ratio, expected):
    rows = [sample(kernel, s, 128, ns, round=round, parameters=parameters) for s in (32, 64)
            for round in (0, 1) for kernel, ns, parameters in (
                ("transformer/full", 1000 * ratio, 100), ("rnn/hoisted", 1000, 25))]
    run = summarised(tmp_path / "run", rows)
    found = runs.load_derived(run, "claims.csv")
    every = found[found.hid_size.isna() & (found.claim == "chat")
                  & (found.measure == "transformer / rnn")].set_index("lens")
    assert every.verdict["layer"] == expected
    assert every.verdict["parameter"] == {"holds": "fails", "fails": "holds"}[expected]
    assert every.measured["parameter"] == pytest.approx(ratio / 4)


def test_softmax_beside_the_products():
    rows = [row(f"transformer.{name}", s, h, ns) for s in (16, 64) for h in (64, 128)
            for name, ns in (("softmax", 5 if h == 64 else 50), ("scores", 60), ("weighted", 40))]
    found, _ = verdicts(rows)
    assert found["softmax share", "softmax / (scores + weighted sum)"] == "holds up to H = 64"


# ---- the registry, kernels.csv and the whole ---------------------------------------------------


def test_the_data_dictionary_lists_what_the_registry_makes():
    made = {name for name in derived.MADE if name.endswith(".csv")}
    listed = re.findall(r"^\| `(\w+\.csv)` \| `scripts/summarise.py`", README.read_text(), re.M)
    assert sorted(derived.TABLES) == sorted(listed) == sorted(made)


def earlier_text(path, columns, **old):
    """A file as it was written before there were engines: some columns under their old names."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    rows = [row | {name: row[now] for name, now in old.items()} for row in rows]
    path.write_text("\n".join([",".join(columns), *(
        ",".join(row[name] for name in columns) for row in rows)]) + "\n", encoding="utf-8")


def test_runs_made_before_there_were_engines_are_read(tmp_path):
    rows = [sample(kernel, s, 64, 100 * s, flops=1000 * s, streamed=400 * s, exps=8 * s)
            for kernel in ("lstm/literal", "lstm/mine", "transformer/full") for s in (16, 64)]
    rows += [sample("roof/fma", 1, 1, 10, flops=1000), sample("roof/exp", 1, 1024, 10, exps=1024),
             sample("roof/sgemm", 512, 512, 10, flops=800, parameters=512 ** 2),
             sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384, parameters=64 ** 2)]
    traits = {"lstm/mine": ("packed", "all")}
    now, then = (summarised(tmp_path / name, rows, traits=traits) for name in ("now", "then"))
    lost = {"engine", *runs.EVALUATIONS, "parameters"}
    columns = [name for name in runs.schema(README, "samples.csv") if name not in lost]
    earlier_text(then / "samples.csv", ["transcendentals", *columns], transcendentals="exps")
    earlier_text(then / "kernels.csv", [
        "kernel", "kind", "layer", "variant", "engine", "tokens", "operations_per_token",
        "sequential_share", "state_floats", "equation", "method"])
    assert command("summarise", [str(then)]) == 0
    for name in derived.TABLES:
        before, after = (pd.read_csv(run / name).drop(columns="parameters", errors="ignore")
                         for run in (then, now))
        pd.testing.assert_frame_equal(before, after, obj=name)


@pytest.mark.parametrize("change, message", [
    (lambda text: text.replace(",all,", ",few,"), "tokens is neither all nor one"),
    (lambda text: text + text.splitlines()[1] + "\n",
     "line 3: this kernel and engine is there already"),
])
def test_broken_kernels_csv_is_refused(tmp_path, capsys, change, message):
    run = write_run(tmp_path / "run", [sample("lstm/hoisted", 16, 64, 100)])
    path = run / "kernels.csv"
    path.write_text(change(path.read_text()))
    assert command("summarise", [str(run)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"summarise.py: {path}: ") and message in error


@pytest.mark.parametrize("change, message", [
    (lambda rows: rows + rows[1:], "line 3: this case is there already"),
    (lambda rows: [rows[0], rows[1].replace("lstm/hoisted", "lstm/other")],
     "line 2: kernel lstm/other with engine openblas is not in kernels.csv"),
    (lambda rows: [rows[0], rows[1].replace(",100,", ",-100,", 1)],
     "line 2: median_ns is not above 0"),
    (lambda rows: [rows[0], rows[1].replace(",100,", ",0,", 1)],
     "line 2: median_ns is not above 0"),
    (lambda rows: [rows[0], rows[1].replace(",100,", ",,", 1)],
     "line 2: median_ns is not above 0"),
    (lambda rows: [rows[0], rows[1].replace(",16,64,", ",0,64,", 1)],
     "line 2: seq_len: '0' is not of type dimension"),
    (lambda rows: [rows[0], rows[1].replace(",100,", ",1e308,", 1)],
     "line 2: median_ns is above 1e+16"),
])
@pytest.mark.parametrize("script", ["answer", "plot", "predict", "report"])
def test_broken_summary_is_refused(tmp_path, capsys, script, change, message):
    run = summarised(tmp_path / "run", [sample("lstm/hoisted", 16, 64, 100)])
    path = run / "summary.csv"
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
    capsys.readouterr()
    assert command(script, [str(run)]) == 2
    assert capsys.readouterr().err == f"{script}.py: {path}: {message}\n"


def test_run_without_kernels_csv_is_refused(tmp_path, capsys):
    run = write_run(tmp_path / "run", [sample("lstm/hoisted", 16, 64, 100)])
    (run / "kernels.csv").unlink()
    assert command("summarise", [str(run)]) == 2
    assert "kernels.csv: No such file" in capsys.readouterr().err


def test_several_runs_each_get_their_tables(tmp_path, capsys):
    folders = [write_run(tmp_path / name, [sample("lstm/hoisted", 16, 64, 100)])
               for name in ("one", "two")]
    assert command("summarise", [*map(str, folders)]) == 0
    for folder in folders:
        assert all((folder / name).exists() for name in TABLES)
    (folders[1] / "kernels.csv").unlink()
    assert command("summarise", [*map(str, folders)]) == 2
    assert f"summarise.py: {folders[1]}" in capsys.readouterr().err


def test_committed_tables_are_those_of_their_run(tmp_path):
    for folder in sorted(README.parent.glob("*/2*/")):
        copy = tmp_path / folder.name
        copy.mkdir()
        for name in ("samples.csv", "kernels.csv", "host.json"):
            (copy / name).write_bytes((folder / name).read_bytes())
        assert command("summarise", [str(copy)]) == 0
        for name in [*TABLES, *PREDICTIONS]:  # they may be older than the newest dimension
            pd.testing.assert_frame_equal(runs.load_derived(copy, name), runs.load_derived(folder, name),
                                          rtol=1e-3, obj=f"{name}: run make csv;")


# ---- trust -------------------------------------------------------------------------------------


def test_two_runs_agree_where_their_intervals_allow_it():
    def run(times, ratio, verdict):
        ends = {"samples": 3, "rounds": 3}
        cases = frame([row("lstm/hoisted", s, 64, ns) | ends | {
            "ci_low_ns": ns * 0.98, "ci_high_ns": ns * 1.02} for s, ns in zip((16, 32), times)])
        cells = pd.DataFrame([{
            "layer": "lstm", **dict.fromkeys(runs.DIMENSIONS, 64), "seq_len": s, "ratio": ratio,
            "ci_low": ratio / 1.02, "ci_high": ratio * 1.02, "verdict": word}
            for s, word in zip((16, 32), verdict)])
        return cases, cells
    found = {line["what"]: (line["cases"], line["value"]) for line in trust.apart(
        run((100, 100), 1.1, ("faster", "slower")), run((102, 104), 1.12, ("faster", "faster")))}
    assert found == {trust.APART_MEDIANS: (2, 0.5), trust.APART_RATIOS: (2, 1.0),
                     trust.APART_VERDICTS: (2, 0.5), trust.OPPOSITE: (2, 0.5)}
