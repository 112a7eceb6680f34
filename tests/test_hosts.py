"""host.json as it may come: refused in one line, or the value unknown."""

import json

import pytest

from conftest import ROOT, command
from seqbench.read import hosts, runs
from seqbench.words import answer
from test_scripts import sample, write_run

DEEP = 3000


def load(folder, text):
    """host.json with that text, loaded."""
    (folder / "host.json").write_text(text, encoding="utf-8")
    return hosts.load(folder)


@pytest.mark.parametrize("text, words", [
    ("[]", "not an object"), ("{", "line 1: "), ('{"run":\n{', "line 2: "), ("", "line 1: "),
    ('{"a":' * DEEP + "1" + "}" * DEEP, "nested too deep"),
    ('{"cpu": {"cores": ' + "1" * 5000 + "}}", "4300"),
    ("\ufeff{}", ""),
    ('{"cpu": {"caches": [{}]}}', "cpu: caches: not a list of caches with level and bytes"),
    ('{"cpu": {"caches": {"level": 1}}}', "cpu: caches: "),
    ('{"cpu": {"caches": [1, 2]}}', "cpu: caches: "),
    ('{"cpu": {"caches": [{"level": 1, "bytes": "much"}]}}', "cpu: caches: "),
    ('{"cpu": {"caches": [{"level": 1, "bytes": NaN}]}}', "cpu: caches: "),
    ('{"cpu": {"caches": [{"level": 1, "bytes": -32}]}}', "cpu: caches: "),
    ('{"cpu": {"measured_core": [1]}}', "cpu: measured_core: not the number of a core"),
    ('{"machine": {"virtual": []}}', "machine: virtual: not true or false"),
    ('{"run": {"until": NaN}}', "run: until: not a number above 0"),
    ('{"run": {"until": 1e999}}', "run: until: "), ('{"run": {"until": 0}}', "run: until: "),
    ('{"run": {"until": true}}', "run: until: "), ('{"run": {"until": "soon"}}', "run: until: ")])
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, text, words):
    with pytest.raises(runs.RunError) as found:
        load(tmp_path, text)
    message = str(found.value)
    assert message.startswith(f"{tmp_path / 'host.json'}: ") and words in message
    assert "\n" not in message


@pytest.mark.parametrize("text", [
    "{}", '{"cpu": null, "run": [], "machine": 3}',
    '{"cpu": {"caches": null, "measured_core": null}, "run": {"until": null}}',
    '{"cpu": {"caches": []}}'])
def test_what_is_not_told_is_unknown(tmp_path, text):
    host = load(tmp_path, text)
    assert hosts.setup_name(host) == "unknown CPU, march unknown, OpenBLAS unknown"
    assert answer.cache_sentence(host) == ""
    assert ", which may be a virtual machine; one core" in answer.machine_sentence(host)


@pytest.mark.parametrize("caches", ([{}], [1], {"level": 1}))
def test_a_command_ends_with_a_line_and_status_2(tmp_path, capsys, caches):
    write_run(tmp_path / "run", [sample("rnn/literal", 4, 8, 10)], {"cpu": {"caches": caches}})
    assert command("summarise", [str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "cpu: caches: " in error


def test_shipped_machines_are_read():
    found = sorted((ROOT / "results").rglob("host.json"))
    assert found
    for path in found:
        assert hosts.load(path.parent) == json.loads(path.read_text(encoding="utf-8"))
