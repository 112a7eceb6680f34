"""The atlas of CPUs: what leaves a machine, what is refused, and a page from planted entries."""
import copy
import csv
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from test_report import browser, show  # noqa: F401: a fixture
from test_scripts import CACHES, HEADER, kernels_text, sample

from conftest import ROOT, command
from seqbench.page import atlas as page
from seqbench.read import atlas, runs
from seqbench.tables import atlas as tables
from seqbench.words import atlas as words

SHIPPED = ROOT / "results" / "amd-epyc-25-17" / "20261125T022003Z" / "host.json"
LENGTHS, SIZES, ROUNDS = [16, 128, 1024, 4096], [256, 512, 1024], 3
KIB, MIB = 2 ** 10, 2 ** 20
PARAMETERS = {"lstm": 8, "gru": 6, "transformer": 12}  # times HidSize squared
KERNELS = {"lstm": "lstm/registers", "gru": "gru/registers", "transformer": "transformer/online"}
CROSSING = {256: 300, 512: 900, 1024: 9000}  # of lstm; of gru it is twice that
FMA, SGEMM = 100.0, 80.0  # operations per ns of the planted machine
READ = {16 * KIB: 200.0, 512 * KIB: 100.0, 8 * MIB: 50.0, 128 * MIB: 20.0}  # bytes per ns
XEON = "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz"


# ---- a planted run -----------------------------------------------------------------------------


def planted(kernel, seq_len, hid_size, ns, round, **more):
    """A row of samples.csv with all that an entry asks for."""
    row = sample(kernel, seq_len, hid_size, ns, round=round, elementwise=0, exps=0, **more)
    for column, value in {"involuntary_switches": 0, "sentinel_ratio": 1}.items():
        row[HEADER.index(column)] = value
    return row


def time_of(layer, seq_len, hid_size):
    """Planted so that at equal size the block takes S / CROSSING times as long as the LSTM."""
    if layer == "transformer":
        return 1000 * seq_len * seq_len / CROSSING[hid_size]
    return 1000 * seq_len * PARAMETERS[layer] / 12 * (2 if layer == "gru" else 1)


def costs_of(layer, seq_len, hid_size):
    """Operations, bytes and parameters as those layers have them."""
    square = hid_size ** 2
    parameters = PARAMETERS[layer] * square
    flops = 2 * parameters * seq_len + (4 * seq_len ** 2 * hid_size if layer == "transformer" else 0)
    return {"flops": flops, "parameters": parameters, "moved": 4 * (parameters + 2 * seq_len * hid_size),
            "streamed": 0 if layer == "transformer" else parameters // 2 * 4 * seq_len,
            "heads": hid_size // 64 if layer == "transformer" else 1, "engine": "packed"}


def roof_rows(round):
    """The roofs of the planted machine."""
    at = {"round": round, "engine": "none"}
    rows = [planted("roof/fma", 4096, 1, 1000, flops=int(1000 * FMA), **at)]
    rows += [planted(f"roof/{name}", 1, 1024, 300, flops=0, **at) for name in ("exp", "sigmoid", "tanh")]
    rows += [planted("roof/read", size // 4096, 1024, size / rate, flops=0, moved=size + 4, **at)
             for size, rate in READ.items()]
    rows += [planted("roof/sgemm", 512, 512, 2 * 512 ** 3 / SGEMM, flops=2 * 512 ** 3, round=round,
                     parameters=512 ** 2)]
    rows += [planted("roof/sgemv", 1, side, 4 * side ** 2 / 40, flops=2 * side ** 2, round=round,
                     parameters=side ** 2) for side in (64, 2048)]
    return rows


def all_rows(rounds=ROUNDS):
    """Every sample of the run."""
    return [row for round in range(rounds) for row in [
        *roof_rows(round), *(planted(KERNELS[layer], length, size, time_of(layer, length, size), round,
                                     **costs_of(layer, length, size))
                             for layer in KERNELS for size in SIZES for length in LENGTHS)]]


def shipped_host(**changes):
    """A host.json as seqbench writes it, with the caches of the planted machine."""
    host = json.loads(SHIPPED.read_text())
    host["cpu"]["caches"] = copy.deepcopy(CACHES)
    for group, values in changes.items():
        host[group].update(values)
    return host


def write_run(folder, rows=None, host=None):
    """The five files of a run that are looked at."""
    rows = rows or all_rows()
    folder.mkdir(parents=True)
    lines = [HEADER, *rows]
    (folder / "samples.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    (folder / "kernels.csv").write_text(kernels_text(rows, {}))
    sizes = list(runs.schema(runs.README, "plan.csv"))
    plan = [sizes, *([i, *(row[HEADER.index(name)] for name in sizes[1:])] for i, row in enumerate(rows))]
    (folder / "plan.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in plan))
    kernels = dict.fromkeys((row[0], row[4]) for row in rows)
    header = list(runs.schema(runs.README, "checks.csv"))
    checks = [{**dict.fromkeys(header, 1), "input": 0, "kv_heads": 0, "window": 0, "ffn_size": 0, "kernel": kernel,
               "engine": engine, "error": 1e-8, "bound": 1e-5, "verdict": "PASS"} for kernel, engine in kernels]
    with (folder / "checks.csv").open("w") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(checks)
    (folder / "host.json").write_text(json.dumps(host or shipped_host()))
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A run that is an entry."""
    return write_run(tmp_path_factory.mktemp("runs") / "good")


@pytest.fixture
def run(good, tmp_path):
    """The same, to be spoilt."""
    return shutil.copytree(good, tmp_path / "run")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where entries go."""
    monkeypatch.setattr(atlas, "FOLDER", tmp_path / "results" / "atlas")
    return atlas.FOLDER


def share(run, *arguments):
    """The command; its status."""
    return command("share", [str(run), *map(str, arguments)])


def edit(path, change):
    """Change the rows of a CSV file; None leaves a row out."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
        names = list(rows[0])
    rows = [row for row in map(change, rows) if row is not None]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# ---- an entry ----------------------------------------------------------------------------------


def test_a_run_becomes_one_file_named_after_cpu_and_libraries(run, folder, capsys):
    assert share(run) == 0
    path, = folder.iterdir()
    assert path.name == "amd-epyc-25-17-openblas-0.3.21-cooperlake.csv"
    said = capsys.readouterr().out
    assert f"{path.name}: written.\n" in said and "pull request" in said
    entry = atlas.load(path)
    assert entry.facts["commit"] == shipped_host()["build"]["commit"]
    assert entry.lengths == LENGTHS and len(entry.cases) == 3 * 3 * 4 + 1 + 3 + 4 + 1 + 2
    found = {(row.name, row.hid_size): row for row in entry.crossings.itertuples()}
    for size, at in CROSSING.items():
        for layer, times in (("lstm", 1), ("gru", 2)):
            row = found[layer, size]
            if at * times > max(LENGTHS):
                assert row.word == "slower everywhere" and math.isnan(row.value)
            else:
                assert row.word == "crosses" and row.value == pytest.approx(at * times, rel=1e-6)
                assert row.ci_low <= row.value <= row.ci_high
    assert len(path.read_bytes()) < 20_000


def test_a_second_share_says_whether_the_file_is_another(run, folder, capsys):
    assert share(run) == 0 and share(run) == 0
    assert "as it was" in capsys.readouterr().out.splitlines()[5]
    edit(run / "samples.csv", lambda row: row | {"wall_ns": float(row["wall_ns"] or 0) * 2})
    assert share(run) == 0
    assert "in place of an older entry of this CPU and these libraries" in capsys.readouterr().out
    assert len(list(folder.iterdir())) == 1


def test_the_file_may_go_elsewhere(run, folder, tmp_path):
    assert share(run, "-o", tmp_path / "x.csv") == 0
    assert (tmp_path / "x.csv").exists() and not folder.exists()


@pytest.mark.parametrize("cpu, name", [
    ({"model": XEON, "vendor": "GenuineIntel"}, "intel-r-xeon-r-platinum-8375c-cpu-2.90ghz"),
    ({"model": "AMD Ryzen 9 7950X 16-Core Processor"}, "amd-ryzen-9-7950x-16-core-processor"),
    ({"model": "12th Gen Intel(R) Core(TM) i7-12700K"}, "12th-gen-intel-r-core-tm-i7-12700k"),
    ({"model": "AMD EPYC 7B12"}, "amd-epyc-7b12"),
    ({"model": "Alice's CPU"}, "amd-25-17"),
    ({"model": "unknown", "vendor": "unknown", "family": "unknown"}, "unknown-cpu")])
def test_a_cpu_is_named_by_known_words_or_by_numbers(cpu, name):
    facts = atlas.facts_of(shipped_host(cpu=cpu))
    assert atlas.file_name(facts) == f"{name}-openblas-0.3.21-cooperlake.csv"


@pytest.mark.parametrize("changes, end, label", [
    ({}, "cooperlake", "-"),
    ({"build": {"flags": "-O3 -march=x86-64-v3"}}, "cooperlake-x86-64-v3", "built for x86-64-v3 (MARCH)"),
    ({"build": {"flags": "-march=alices-own"}}, "cooperlake-other-march", "built for a named CPU (MARCH)"),
    ({"build": {"flags": "-march=native -DSEQBENCH_LANES=4", "lanes": 4}}, "cooperlake-lanes4",
     "built for 4 floats per vector (LANES)"),
    ({"libraries": {"openblas_corename": "Haswell",
                    "blas_environment": {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512"}}},
     "haswell-as-haswell-l2-512", "OpenBLAS told to be on Haswell (OPENBLAS_CORETYPE); OpenBLAS told that L2 has "
     "512 KiB (OPENBLAS_L2_SIZE)")])
def test_what_was_restricted_is_in_the_name_and_in_words(changes, end, label):
    facts = atlas.facts_of(shipped_host(**changes))
    assert atlas.file_name(facts).endswith(f"-openblas-0.3.21-{end}.csv")
    assert words.kind(SimpleNamespace(facts=facts)) == label


@pytest.mark.parametrize("changes, lanes", [
    ({"build": {"lanes": 8}}, "8"), ({}, "16"), ({"cpu": {"flags": "sse avx avx2"}}, "8"),
    ({"cpu": {"flags": "sse"}}, None), ({"build": {"flags": "-march=haswell"}}, None)])
def test_lanes_are_those_said_or_those_of_the_cpu(changes, lanes):
    assert atlas.facts_of(shipped_host(**changes)).get("lanes") == lanes


def test_a_build_of_narrower_vectors_needs_no_roofs_of_openblas(tmp_path, folder):
    rows = [row for row in all_rows() if not row[0].startswith("roof/sgem")]
    host = shipped_host(build={"flags": "-march=native -DSEQBENCH_LANES=4", "lanes": 4})
    assert share(write_run(tmp_path / "run", rows, host)) == 0
    entry, = atlas.load_all(folder)
    assert entry.facts["lanes_asked"] == "4"


@pytest.mark.parametrize("more", [{"heads": 1}, {"batch": 4}, {"cache": "cold"}, {"engine": "packed-int8"},
                                  {"engine": "onednn"}])
def test_other_cases_of_a_run_stay_out(tmp_path, folder, more):
    def beside(round, length, size):
        return planted("transformer/online", length, size, 1, round, **costs_of("transformer", length, size) | more)

    rows = all_rows() + [beside(round, length, size) for round in range(ROUNDS) for length in LENGTHS for size in SIZES]
    assert share(write_run(tmp_path / "run", rows)) == 0
    entry, = atlas.load_all(folder)
    blocks = entry.cases[entry.cases.layer == "transformer"]
    assert sorted(blocks.median_ns) == pytest.approx(sorted(time_of("transformer", length, size)
                                                            for length in LENGTHS for size in SIZES), rel=1e-6)


# ---- what leaves a machine -----------------------------------------------------------------------

SECRETS = ["alices-laptop", "alice", "/home/alice/blas", "/mnt/secret-disk", "HOME=/root/alice", "SN4711XYZ9QQ",
           "192.168.7.23", "2026-11-25T02:20:03.837Z", "fe80::1ff:fe23:4567:890a"]


def places(host, at=()):
    """Where a host.json has text."""
    for key, value in host.items() if isinstance(host, dict) else enumerate(host):
        if isinstance(value, (dict, list)):
            yield from places(value, (*at, key))
        elif isinstance(value, str):
            yield (*at, key)


def with_text(host, place, text):
    """The same host with other text at one place."""
    host = copy.deepcopy(host)
    inner = host
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = text
    return host


FULL = shipped_host(libraries={"blas_environment": {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512",
                                                    "OMP_PLACES": "cores"}},
                    build={"flags": "-O3 -march=x86-64-v3 -DSEQBENCH_LANES=4", "lanes": 4})


@pytest.mark.parametrize("place", list(places(FULL)), ids=".".join)
def test_no_text_of_host_json_leaves_but_known_words(place):
    before = set(atlas.facts_of(FULL).values())
    value = FULL
    for key in place:
        value = value[key]
    for secret in SECRETS:
        for text in (secret, f"{value} {secret}", f"{secret} {value}", f"{value}{secret}", f"{value} -march={secret}",
                     f"OpenBLAS {secret}", f"{value} -DSEQBENCH_LANES={secret}", f"{value}\n{secret}"):
            facts = atlas.facts_of(with_text(FULL, place, text))
            new = set(facts.values()) - before
            told = " ".join([*new, atlas.file_name(facts)]).lower()
            assert not any(piece.lower() in told for piece in re.split(r"[/=]", secret) if len(piece) > 4), (text, new)


def test_nothing_private_is_in_the_file(tmp_path, folder):
    kept = {("build", "commit")}
    host = shipped_host(libraries={"blas_environment": {"OMP_PLACES": "alice"}})
    for place in places(shipped_host()):
        if place not in kept:
            host = with_text(host, place, f"{SECRETS[0]} {SECRETS[2]}" if place[0] == "cpu" else
                             " ".join([shipped_host()[place[0]][place[1]], *SECRETS]))
    host["alice"] = {"user": "alice"}
    run = write_run(tmp_path / "alices-laptop" / "alice")
    (run / "host.json").write_text(json.dumps(host))
    for column in ("equation", "method", "source", "job", "batches"):
        edit(run / "kernels.csv", lambda row, column=column: row | {column: SECRETS[0]})
    edit(run / "samples.csv", lambda row: row | {"checksum": "alice", "error": "/home/alice"})
    assert share(run) == 0
    path, = folder.iterdir()
    text = path.name + path.read_text()
    for secret in ["alice", "laptop", "secret", "home", "root", "4711", "192.168", "02:20", "fe80", str(tmp_path),
                   shipped_host()["os"]["kernel"]]:
        assert secret not in text, secret
    assert path.name == "unknown-cpu-openblas-0.3.21-other.csv"


# Where host.json would have to hold a secret for a fact to tell it; the compiler's line is taken apart instead.
READ_FROM = {"cpu": ("cpu", "model"), "vendor": ("cpu", "vendor"), "family": ("cpu", "family"),
             "model": ("cpu", "model_number"), "architecture": ("os", "architecture"),
             "virtual": ("machine", "virtual"), "commit": ("build", "commit"), "lanes": ("build", "lanes"),
             "openblas_core": ("libraries", "openblas_corename"),
             "openblas_coretype": ("libraries", "blas_environment", "OPENBLAS_CORETYPE"),
             "openblas_l2_size": ("libraries", "blas_environment", "OPENBLAS_L2_SIZE"),
             **{f"l{level}_bytes": ("cpu", "caches", level - 1, "bytes") for level in (1, 2, 3)},
             "march": ("build", "flags"), "lanes_asked": ("build", "flags"),
             "openblas": ("libraries", "openblas_config")}
AROUND = {"march": "-march={}", "lanes_asked": "-DSEQBENCH_LANES={}", "openblas": "OpenBLAS {}"}


@pytest.mark.parametrize("name", list(READ_FROM))
def test_it_is_the_form_of_each_fact_that_keeps_a_secret(monkeypatch, name):
    for secret in SECRETS:
        host = with_text(FULL, READ_FROM[name], AROUND.get(name, "{}").format(secret))
        assert secret not in atlas.facts_of(host).values()
        with monkeypatch.context() as patch:  # without the form the secret is out
            patch.setitem(atlas.FACTS, name, atlas.Fact(r"(?s).*", atlas.FACTS[name].read))
            assert atlas.facts_of(host)[name] == secret


def test_every_fact_has_its_test():
    assert set(atlas.FACTS) - set(READ_FROM) == {"compiler", "l4_bytes"}


@pytest.mark.parametrize("line, word", [
    ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "gcc 12.2.0"), ("Debian clang version 14.0.6", "clang 14.0.6"),
    ("gcc (alices-laptop) 12.2.0", "gcc 12.2.0"), ("gcc 10.1.2.3", None), ("/home/alice/gcc 12.2.0", None),
    ("alices-gcc 1.2.3", None), ("alice gcc", None)])
def test_a_compiler_is_a_name_and_a_version(line, word):
    assert atlas.facts_of(shipped_host(build={"compiler": line})).get("compiler") == word


@pytest.mark.parametrize("name", list(atlas.FACTS))
@pytest.mark.parametrize("secret", SECRETS)
def test_an_entry_with_a_secret_is_not_read(good, tmp_path, name, secret):
    path = shared(good, tmp_path)
    edit(path, lambda row: row | {"word": secret} if row["name"] in (name, "commit") and row["name"] == name else row)
    text = path.read_text()
    if secret not in text:  # a fact that this machine does not have
        path.write_text(text.replace("host,commit", f"host,{name},,,,,{secret}{',' * 21}\nhost,commit", 1))
    with pytest.raises(runs.RunError, match=f"{path}: line .*: {name}: .* has not the form of that fact"):
        atlas.load(path)


SHARED = {}


def shared(good, folder):
    """A copy of the entry of the good run."""
    if not SHARED:
        path = folder / "first.csv"
        assert share(good, "-o", path) == 0
        SHARED["text"] = path.read_text()
        path.unlink()
    path = folder / "amd-epyc-25-17-openblas-0.3.21-cooperlake.csv"
    path.write_text(SHARED["text"])
    return path


@pytest.mark.parametrize("record", ["roof", "layer", "crossing"])
@pytest.mark.parametrize("column", ["record", "name", "engine", "word", "unit", "products", "packing", "roof"])
def test_other_rows_of_an_entry_hold_known_words_only(good, tmp_path, record, column):
    path = shared(good, tmp_path)
    edit(path, lambda row: row | {column: "alice"} if row["record"] == record else row)
    with pytest.raises(runs.RunError, match=re.escape(str(path)) + ": line"):
        atlas.load(path)


# ---- what is refused ---------------------------------------------------------------------------


def flagged(row, kernel, seq_len, hid_size, first_round=0):
    """The row with a flag if it is of that case, from some round on."""
    is_case = (row["kernel"], row["seq_len"], row["hid_size"]) == (kernel, str(seq_len), str(hid_size))
    return row | {"flags": "clock"} if is_case and int(row["round"]) >= first_round else row


def five_rounds(run, flags_in):
    """A run of five rounds, with flags in the given ones of one case."""
    shutil.rmtree(run)
    write_run(run, all_rows(5))
    edit(run / "samples.csv", lambda row: flagged(row, "lstm/registers", 128, 512)
         if int(row["round"]) in flags_in else row)


def test_one_case_with_a_flagged_majority_is_refused(run, folder, capsys):
    five_rounds(run, {0, 1})
    assert share(run) == 0
    five_rounds(run, {0, 1, 2})
    assert share(run) == 2
    assert capsys.readouterr().err == (
        f"share.py: {run}: not shared: disturbed: of 5 samples of lstm/registers (packed) S=128 H=512 3 have a flag; "
        "time it again on a quiet machine\n")


def spoil_host(group, **values):
    """What changes host.json."""
    def spoil(run):
        host = json.loads((run / "host.json").read_text())
        host[group] = {**host[group], **values}
        (run / "host.json").write_text(json.dumps(host))
    return spoil


def spoil(name, change):
    """What changes the rows of a file."""
    return lambda run: edit(run / name, change)


def without(test):
    """A run in which some rows were never planned, timed and checked."""
    def spoil_all(run):
        for name in ("samples.csv", "plan.csv", "checks.csv"):
            edit(run / name, lambda row: None if test(row) else row)
    return spoil_all


NOT_SHARED = {
    "dirty": (spoil_host("build", dirty=True), "the source that it was built from had changes that are in no commit"),
    "dirty unknown": (spoil_host("build", dirty=None), "built from does not say whether it had changes"),
    "no commit": (spoil_host("build", commit="unknown"), "host.json names no commit"),
    "a setting": (spoil_host("libraries", blas_environment={"OPENBLAS_BLOCK_FACTOR": "7"}),
                  "OpenBLAS was started with a setting"),
    "a setting of no form": (spoil_host("libraries", blas_environment={"OPENBLAS_CORETYPE": "alice"}),
                             "OpenBLAS was started with a setting"),
    "a stream": (spoil_host("run", conditions="hot"), "a stream"),
    "a failed check": (spoil("checks.csv", lambda row: row | {"verdict": "FAIL"} if row["kernel"] == "gru/registers"
                             else row), "gru/registers (packed) S=1 H=1 fails its check against the reference"),
    "unchecked": (spoil("checks.csv", lambda row: None if row["kernel"] == "roof/read" else row),
                  "roof/read (none) was not checked"),
    "broken off": (spoil("samples.csv", lambda row: None if row["round"] == "2" and int(row["order"]) >= 0
                         and row["kernel"] == "lstm/registers" and row["hid_size"] == "512" else row),
                   "broken off: 4 of 47 cases that it needs have fewer than 3 rounds, as lstm/registers (packed) "),
    "one round": (spoil("samples.csv", lambda row: row if row["round"] == "0" else None),
                  "broken off: 47 of 47 cases"),
    "few good rounds": (spoil("samples.csv", lambda row: flagged(row, "roof/fma", 4096, 1, first_round=2)),
                        "roof/fma (none) S=4096 H=1 has good samples in 2 rounds, not in 3"),
    **{f"no {roof}": (without(lambda row, roof=roof: row["kernel"] == f"roof/{roof}"), f"roof/{roof} was not timed")
       for roof in ("fma", "read", "exp", "sigmoid", "tanh", "sgemm", "sgemv")},
    "no gru": (without(lambda row: row["kernel"] == "gru/registers" and row["hid_size"] == "512"
                       and row.get("verdict") is None), "no gru was timed at HidSize 512, batch 1"),
    "no long": (without(lambda row: row["seq_len"] == "4096" and row["kernel"].startswith("gru")),
                "do not have 4 SeqLens in common, from 128 or less to 4096 or more"),
    "no evidence": (spoil("samples.csv", lambda row: row | {"clock_ghz_before": ""}),
                    "samples do not tell what disturbed them (clock_ghz_before is empty)"),
    "own kernel": (lambda run: [edit(run / name, lambda row: row | {"kernel": row["kernel"].replace("registers", "alice")}
                                     | ({"variant": "alice"} if row.get("variant") == "registers" else {}))
                                for name in ("samples.csv", "plan.csv", "kernels.csv", "checks.csv")],
                   "a kernel of it is not in kernels/kernels.def"),
    "own packing": (spoil("kernels.csv", lambda row: row | {"packing": "alice"}), "packing is none that is known"),
}


@pytest.mark.parametrize("what", list(NOT_SHARED))
def test_what_is_refused_is_said_in_one_sentence(run, folder, capsys, what):
    change, reason = NOT_SHARED[what]
    change(run)
    assert share(run) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"share.py: {run}: not shared: ") and said.count("\n") == 1
    assert reason in said and "alice" not in said
    assert not folder.exists()


@pytest.mark.parametrize("name, old, new, message", [
    ("samples.csv", "wall_ns", "time", "column wall_ns is missing"),
    ("plan.csv", "round,", "x,", "column round is missing"),
    ("checks.csv", "verdict", "v", "column verdict is missing"),
    ("kernels.csv", ",hot", "", None)])
def test_files_that_the_dictionary_does_not_know_are_refused(run, folder, capsys, name, old, new, message):
    path = run / name
    if message is None:
        path.unlink()
        message = f"{path}: No such file"
    else:
        path.write_text(path.read_text().replace(old, new, 1))
    assert share(run) == 2 and message in capsys.readouterr().err


# ---- entries that are not read -----------------------------------------------------------------

BAD = {
    "a column more": (lambda path: path.write_text(path.read_text().replace("record,", "record,host_name,", 1)), "fields"),
    "no commit": (lambda path: edit(path, lambda row: None if row["name"] == "commit" else row), "no commit"),
    "another fact": (lambda path: path.write_text(path.read_text().replace("host,commit", "host,user", 1)),
                     "no fact is called 'user'"),
    "twice": (lambda path: path.write_text(path.read_text().replace(
        "host,family", f"host,virtual,,,,,True{',' * 21}\nhost,family", 1)), "this fact is there already"),
    "another CPU": (lambda path: edit(path, lambda row: row | {"word": "26"} if row["name"] == "family" else row),
                    "by its facts the file is called amd-epyc-26-17-openblas-0.3.21-cooperlake.csv"),
    "no crossing": (lambda path: edit(path, lambda row: None if (row["record"], row["hid_size"]) == ("crossing", "512")
                                      else row), "not one crossing of each of lstm, gru"),
    "a negative time": (lambda path: edit(path, lambda row: row | {"value": "-1"} if row["record"] == "layer" else row),
                        "value is not above 0"),
    "disturbed": (lambda path: edit(path, lambda row: row | {"disturbed": "9"} if row["record"] == "roof" else row),
                  "more samples are disturbed than good"),
    "one round": (lambda path: edit(path, lambda row: row | {"rounds": "1"} if row["record"] == "layer" else row),
                  "fewer than 3 rounds"),
    "no costs": (lambda path: edit(path, lambda row: row | {"flops": ""} if row["record"] == "layer" else row),
                 "a cost is not known"),
    "no products": (lambda path: edit(path, lambda row: row | {"products": ""} if row["record"] == "layer" else row),
                    "a layer's parameters or products are not known"),
    "a crossing of none": (lambda path: edit(path, lambda row: row | {"value": "300"} if row["word"] == "slower everywhere"
                                             else row), "value and verdict do not go together"),
    "an interval beside": (lambda path: edit(path, lambda row: row | {"ci_high": "1"} if row["word"] == "crosses"
                                             else row), "value is not within its interval"),
    "int8": (lambda path: edit(path, lambda row: row | {"bytes_per_weight": "1"} if row["record"] == "layer" else row),
             "not of float32"),
    "endless": (lambda path: edit(path, lambda row: row | {"ci_high": "1e999"} if row["record"] == "roof" else row),
                "ci_high is above 1e+16"),
    "no size": (lambda path: edit(path, lambda row: row | {"seq_len": "0"} if row["record"] == "layer" else row),
                "a size is not at least 1"),
    "no layer": (lambda path: edit(path, lambda row: None if row["name"].startswith("transformer") else row),
                 "no transformer was timed at HidSize 256"),
    "no roof": (lambda path: edit(path, lambda row: None if row["name"] == "roof/read" else row),
                "roof/read was not timed"),
    "another crossing": (lambda path: edit(path, lambda row: row | {"value": "350", "ci_high": "400"} if (row["record"], row["name"],
                         row["hid_size"]) == ("crossing", "lstm", "256") else row),
                         "the crossing of lstm at HidSize 256 is not that of its times"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_a_bad_entry_is_refused_with_its_name(good, tmp_path, capsys, what):
    change, message = BAD[what]
    path = shared(good, tmp_path)
    assert tables.load(tmp_path)[0][0].path == path
    change(path)
    assert command("atlas", [str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"atlas.py: {path}: " in said and message in said


def test_an_atlas_of_nothing(tmp_path, capsys):
    assert command("atlas", [str(tmp_path)]) == 2
    assert "no entries: `make share RUN=dir` writes one" in capsys.readouterr().err


# ---- the page ----------------------------------------------------------------------------------


def predicted_by_hand(layer, hid_size):
    """S* of the planted machine: products at SGEMM, a step's matrix read at the rate of each level."""
    matrix = 4 * (PARAMETERS[layer] // 2) * hid_size ** 2
    left, step = matrix, 0.0
    for size, rate in ((32 * KIB, 200), (MIB - 32 * KIB, 100), (31 * MIB, 50)):
        part = min(left, size)
        step, left = step + part / rate, left - part
    assert left == 0

    def ratio(length):
        square = hid_size ** 2
        block = (24 * square * length + 4 * length ** 2 * hid_size) / SGEMM
        own = PARAMETERS[layer] * square * length / SGEMM + length * step
        return block / own * PARAMETERS[layer] / 12

    for low, high in zip(LENGTHS, LENGTHS[1:]):
        one, other = math.log(ratio(low)), math.log(ratio(high))
        if one < 0 <= other:
            return math.exp(math.log(low) + (math.log(high) - math.log(low)) * one / (one - other))
    return math.nan


@pytest.fixture
def two(good, tmp_path, folder):
    """The atlas of two machines: the planted one, and one on which the layers take three times as long."""
    assert share(good) == 0
    other = write_run(tmp_path / "other", [
        row if not row[0].startswith(("lstm", "gru")) else with_wall(row, 3) for row in all_rows()],
        shipped_host(cpu={"model": XEON, "vendor": "GenuineIntel"}))
    assert share(other) == 0
    return folder


def with_wall(row, times):
    """A row that takes so many times as long."""
    row[HEADER.index("wall_ns")] = repr(float(row[HEADER.index("wall_ns")]) * times)
    return row


def test_predictions_and_their_error_by_hand(two):
    _, table = tables.load(two)
    for row in table.itertuples():
        assert row.predicted == pytest.approx(predicted_by_hand(row.layer, row.hid_size), rel=1e-6, nan_ok=True)
        at = CROSSING[row.hid_size] * (2 if row.layer == "gru" else 1) * (3 if "intel" in row.file else 1)
        if at < max(LENGTHS):
            assert row.place == pytest.approx(at, rel=1e-5)
            assert row.error == pytest.approx(row.predicted / at, rel=1e-5, nan_ok=True)
        else:
            assert math.isnan(row.place) and math.isnan(row.error)


def test_the_law_and_the_two_advantages(two):
    _, table = tables.load(two)
    row = table[(table.layer == "lstm") & (table.hid_size == 512)].iloc[0]
    assert row[tables.BLAS] == pytest.approx(SGEMM / (2 / 4 * 40))  # 2 operations on 4 bytes, at 40 bytes per ns
    reading = 32 * KIB / 200 + (MIB - 32 * KIB) / 100 + 3 * MIB / 50
    assert row[tables.OWN] == pytest.approx(FMA * reading / (4 * MIB / 4 * 2))
    # Block: 24 H^2 + 4 S H operations; as many LSTMs as are as large: 12 H^2 at each of the two rates.
    at = tables.by_law(512, 4.0)
    assert 24 * 512 ** 2 + 4 * at * 512 == pytest.approx(12 * 512 ** 2 * (1 + 4.0))


def test_an_entry_without_openblas_is_predicted_from_its_own_roofs(tmp_path, folder):
    rows = [row for row in all_rows() if not row[0].startswith("roof/sgem")]
    host = shipped_host(build={"flags": "-march=native -DSEQBENCH_LANES=16", "lanes": 16})
    assert share(write_run(tmp_path / "run", rows, host)) == 0
    _, table = tables.load(folder)
    assert table[tables.BLAS].isna().all() and table[tables.OWN].notna().all()
    assert table.predicted.notna().any() and table.restricted.all()


class Rows(HTMLParser):
    """The cells of the tables of a page, without a script."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_the_page_has_a_row_for_each_machine(two, capsys):
    assert command("atlas", [str(two)]) == 0
    head, *rows = Rows((two / "index.html").read_text()).rows
    cells = [dict(zip(head, row)) for row in rows]
    assert [row["machine"] for row in cells] == ["AMD EPYC (family 25, model 17)", XEON]
    for row, times in zip(cells, (1, 3)):
        assert row["S*, lstm H 256"].startswith(f"{300 * times} (")
        assert row["S*, gru H 256"].startswith(f"{600 * times} (")
        assert row["S*, lstm H 1024"] == "none to 4096"
        assert (row["lanes"], row["caches"], row["virtual"]) == ("16", "32 KiB, 1 MiB, 32 MiB", "yes")
        assert (row["fma GFLOP/s"], row["sgemm GFLOP/s"], row["read L3 GB/s"]) == ("100", "80.0", "50.0")
        assert row["sgemm / sgemv in L3"] == "4.00"
    text = (two.parent / "ATLAS.md").read_text()
    first = text.split("\n\n")[1]
    assert first.startswith("For whoever chooses") and "every machine that was shared" in first
    assert "It holds 2 entries of 2 CPUs, none of them restricted on purpose." in text
    assert f"| 2 | [{XEON}](atlas/intel-r-xeon-r-platinum-8375c-cpu-2.90ghz-openblas-0.3.21-cooperlake.csv) |" in text
    assert len(re.findall(r"^\d+\. ", text.split("## Rules of entry")[1], re.M)) == 10
    for name in ("atlas.png", "atlas.svg"):
        assert (two / "figures" / name).stat().st_size > 1000


def test_the_page_needs_nothing_else_and_is_the_same_each_time(two):
    assert command("atlas", [str(two)]) == 0
    text = (two / "index.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text) and "http" not in re.sub(r"http-equiv", "", text)
    assert command("atlas", [str(two)]) == 0 and (two / "index.html").read_text() == text


def test_a_click_on_a_title_sorts(two, browser):  # noqa: F811
    assert command("atlas", [str(two)]) == 0
    show(browser, two / "index.html", 1280)
    column = "return [...document.querySelectorAll('table.sortable tbody tr')].map((row) => row.cells[0].textContent)"
    assert browser.execute_script(column)[0].startswith("AMD")
    title, = [each for each in browser.find_elements("css selector", "table.sortable th button")
              if each.text == "S*, lstm H 256"]
    browser.execute_script("arguments[0].click()", title)
    assert browser.execute_script(column)[0].startswith("AMD")
    browser.execute_script("arguments[0].click()", title)
    assert browser.execute_script(column)[0].startswith("Intel")
    assert not browser.get_log("browser")


def test_words_for_what_lies_beyond_the_grid():
    at = {"place": math.nan, "low": math.nan, "high": math.nan, "shortest": 16, "longest": 4096}
    told = {verdict: words.measured_text(SimpleNamespace(verdict=verdict, **at)) for verdict in words.WORDS}
    assert told == {"faster everywhere": "all from 16", "never slower": "never slower from 16",
                    "slower everywhere": "none to 4096", "never faster": "none to 4096",
                    "no difference": "no difference to 4096", "several crossings": "several crossings to 4096"}
    inside = at | {"place": 300.0, "low": math.nan, "high": math.nan}
    assert words.measured_text(SimpleNamespace(verdict="crosses", **inside)) == "300 (< 16 to > 4096)"
    assert words.measured_text(SimpleNamespace(verdict="crosses back", **inside)) == "below 300 (< 16 to > 4096)"


# ---- the shipped atlas -------------------------------------------------------------------------


def test_the_pages_are_those_of_the_files():
    entries, table = tables.load(atlas.FOLDER)
    assert words.markdown(entries, table) == (ROOT / "results" / "ATLAS.md").read_text(), "run `make atlas`"
    assert page.page(entries, table) == (atlas.FOLDER / page.INDEX).read_text(), "run `make atlas`"


def test_the_recipe_of_the_page_times_what_an_entry_needs(seqbench):
    lines = (ROOT / "Makefile").read_text()
    globs = re.search(r"^globs_atlas := (.*)$", lines, re.M)[1]
    assert words.MAKE == "make bench KERNELS=atlas H=256,512,1024"
    plan = seqbench("plan", "-k", globs, "--engine", "openblas,packed", "-g", "default", "-H", "256,512,1024").stdout
    for kernel in [*KERNELS.values(), "roof/sgemm", "roof/sgemv", "roof/fma", "roof/tanh"]:
        assert kernel in plan
    assert "literal" not in plan


def test_make_knows_share_and_atlas():
    for goal, script in (("share", "scripts/share.py"), ("atlas", "scripts/atlas.py")):
        dry = subprocess.run(["make", "--no-print-directory", "-n", goal, "RUN=some", "have-deps="], cwd=ROOT, text=True,
                             capture_output=True, timeout=120)
        assert dry.returncode == 0 and script in dry.stdout
