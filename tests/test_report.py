"""Tests of scripts/report.py: a page from a synthetic run, read by a parser and by a browser."""
import csv
import json
import math
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from test_scripts import HEADER, VIRTUAL, grid_run, sample, summarised

from conftest import command
from seqbench.figures.drawing import HUES, LIGHT, PALETTE, Run, Shade, layer_hues
from seqbench.page import embed, report, tables
from seqbench.read import runs
from seqbench.words import wording

HOSTILE = "</script><script>alert('x')</script><!-- \" & \u2028 <img src=x onerror=alert(1)>"
HOST = VIRTUAL | {"cpu": VIRTUAL["cpu"] | {"model": f"CPU {HOSTILE}"},
                  "build": {"flags": "-O3 -march=native"},
                  "libraries": {"openblas_corename": "Cooperlake"}}
VOID = {"meta", "link", "img", "br", "input"}
DERIVED = list(tables.DERIVED)
PARAMETERS = {"rnn": 2, "lstm": 8, "transformer": 12}  # times HidSize squared


# ---- runs and pages ----------------------------------------------------------------------------


def with_more_engines(rows):
    """The grid with another engine, and a layer whose run makes one token."""
    for round in range(2):
        for seq_len in (16, 128, 1024):
            at = dict(seq_len=seq_len, hid_size=64, round=round)
            rows += [sample("lstm/other", ns=900 * seq_len, **at),
                     sample("decode/full", ns=100 * seq_len, **at),
                     sample("rnn/hoisted", ns=700 * seq_len, flags="switch+steal", number=1, **at),
                     sample("rnn/hoisted", ns=500 * seq_len, **at)]
    hid_size, parameters = HEADER.index("hid_size"), HEADER.index("parameters")
    for row in rows:
        row[parameters] = PARAMETERS.get(row[HEADER.index("layer")], 0) * row[hid_size] ** 2
    return rows


def spoil_methods(folder):
    """Put markup into the methods of kernels.csv."""
    path = folder / "kernels.csv"
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    for row in rows[1:]:
        row[-1] = HOSTILE
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with every table."""
    folder = tmp_path_factory.mktemp("report") / "run"
    summarised(folder, with_more_engines(grid_run()), HOST,
               {"lstm/other": ("packed", "all"), "decode/full": ("openblas", "one")})
    spoil_methods(folder)
    return folder


@pytest.fixture(scope="module")
def runs_page(run, tmp_path_factory):
    """The page of two runs, of which the second has no derived table but summary.csv."""
    other = tmp_path_factory.mktemp("report") / "other"
    shutil.copytree(run, other)
    for name in [*DERIVED, "roofline.csv", "samples.csv"]:
        (other / name).unlink()
    out = other.parent / "report.html"
    assert command("report", [str(run), str(other), "-o", str(out)]) == 0
    return out


class Page(HTMLParser):
    """Elements of a page; fails on a tag that is closed out of turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)


def data_of(page):
    """The data in a page."""
    return json.loads(next(text for text in page.text["script"] if text.startswith("{")))


# ---- pure functions ----------------------------------------------------------------------------


@pytest.mark.parametrize("value, expected", [
    (1234567.0, 1235000), (0.0123456, 0.01235), (math.nan, None), (math.inf, None), (12, 12),
    (1e300, 1e300), (2.0, 2)])
def test_numbers_are_cut_to_four_digits(value, expected):
    assert embed.rounded(value) == expected
    assert type(embed.rounded(value)) is type(expected)


def test_embedded_json_cannot_end_its_element():
    text = embed.embedded({"name": HOSTILE})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"name": HOSTILE}


def test_flag_rules_are_those_of_the_data_dictionary():
    rules = tables.flag_rules(runs.README)
    assert {"migration", "switch", "steal", "clock", "sentinel", "output"} <= set(rules)
    assert rules["steal"] == "stolen ticks make up more than 1 % of wall time"


def test_flags_are_counted_by_rule(run):
    found = tables.disturbed(Run.load(run))
    counts = {row[0].text: row[2].number for row in found.rows}
    assert (counts["switch"], counts["steal"], counts["clock"]) == (6, 6, 0)
    assert "; 6 were disturbed" in found.note and ", 0 failed" in found.note


def test_label_names_folder_cpu_and_build(tmp_path):
    assert report.label_of(tmp_path / "amd" / "one", HOST | {"cpu": {"model": "CPU"}}) == \
        "amd/one: CPU, march native, OpenBLAS Cooperlake"
    assert report.label_of(tmp_path / "amd" / "one", {}).endswith("march unknown, OpenBLAS unknown")


# ---- the page ----------------------------------------------------------------------------------


def test_page_is_well_formed_and_needs_nothing_else(runs_page):
    text = runs_page.read_text(encoding="utf-8")
    page = Page(text)
    assert ("html", {"lang": "en"}) in page.elements
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert attributes.get("href", "#").startswith(("#", "data:")), attributes
    policy = next(found["content"] for _, found in page.elements if "http-equiv" in found)
    assert policy.startswith("default-src 'none';")
    style = "".join(page.text["style"])
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"https?:|//[a-z]+\.", text.replace("\\n", "\n"))


def test_hostile_names_stay_text(runs_page):
    page = Page(runs_page.read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "img" not in [tag for tag, _ in page.elements]
    assert any("CPU </script>" in text for text in page.text["td"])
    assert any("alert" in text for text in page.text["option"])


def test_headings_are_in_order_and_ids_are_unique(runs_page):
    page = Page(runs_page.read_text(encoding="utf-8"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {word for _, found in page.elements for word in found.get("aria-labelledby", "").split()}
    assert named <= set(ids)


def test_same_folders_give_the_same_bytes(run, tmp_path):
    outs = [tmp_path / "one.html", tmp_path / "two.html"]
    for out in outs:
        assert command("report", [str(run), "-o", str(out)]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_numbers_of_the_page_are_those_of_the_tables(run, runs_page):
    found = data_of(Page(runs_page.read_text(encoding="utf-8")))["runs"][0]
    summary = runs.load_summary(run).set_index(["kernel", "seq_len", "hid_size"])
    kernels = [found["kernels"][place][0] for place in found["k"]]
    assert "decode/full" not in kernels and "transformer/full" not in kernels
    per_token = [summary.median_ns[case] / case[1]
                 for case in zip(kernels, found["s"], found["h"])]
    assert found["ns"] == pytest.approx(per_token, rel=1e-3)
    crossings = {found.lens: found for found in tables.derived(Run.load(run)) if found.lens}
    assert list(crossings) == ["layer", "parameter"]
    shown = {tuple(cell.text for cell in row[:3]): row[4].text for row in crossings["layer"].rows}
    assert shown["lstm", "openblas", "256"].startswith("S > 50 (")


def test_claims_have_a_table_of_all_hid_sizes_and_one_of_each(run):
    frame = runs.load_derived(run, "claims.csv")
    of_all, of_each = tables.claims(frame)
    assert len(of_all.rows) == frame.hid_size.isna().sum() > 0
    assert len(of_all.rows) + len(of_each.rows) == len(frame)
    assert {"lens", "verdict", "why"} <= set(of_all.head)


def test_figures_are_those_of_the_files_with_values(runs_page):
    """A panel has a name, its marks have values, no two ids are the same."""
    page = Page(runs_page.read_text(encoding="utf-8"))
    pictures = [found for tag, found in page.elements if tag == "svg" and found["class"] == "plot"]
    assert len(pictures) > 20
    assert all(found["aria-label"] and found["role"] == "img" for found in pictures)
    assert len(page.text["title"]) > 200
    assert any(text.startswith("16x: transformer/tiled over rnn/") for text in page.text["title"])
    assert any(text.startswith("LSTM: RNN takes 1.1 times as long\nS 1024, H 256")
               for text in page.text["title"])
    assert {"rnn", "lstm, HidSize 64", "roof/read"} <= set(page.text["p"])


def test_missing_tables_are_said_and_not_needed(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for name in [*DERIVED, "roofline.csv", "samples.csv"]:
        (other / name).unlink()
    assert command("report", [str(other)]) == 0
    texts = Page((other / "report.html").read_text(encoding="utf-8")).text
    notes = " ".join(texts["p"] + texts["figcaption"])
    for name in DERIVED:
        assert f"This run has no {name}: `make csv RUN={other}` makes it." in notes
    assert "were not kept" in notes and "Not drawn: no ratios.csv" in notes


def test_tables_of_earlier_versions_are_said_and_not_needed(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    frame = runs.load_derived(run, "crossover.csv").drop(columns="lens")
    runs.write_text(other / "crossover.csv", runs.csv_text(frame))
    assert command("report", [str(other)]) == 0
    notes = " ".join(Page((other / "report.html").read_text(encoding="utf-8")).text["p"])
    assert f"column lens is missing: `make csv RUN={other}` makes it." in notes


def test_the_answer_is_there_without_scripts(runs_page):
    page = Page(runs_page.read_text(encoding="utf-8"))
    words = " ".join(page.text["p"])
    assert not [found for tag, found in page.elements if tag == "main"][0]
    assert "At equal model size an LSTM takes" in words
    assert "Which takes the least time at equal model size" in words


def test_one_run_is_reported_in_its_folder(run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert command("report", [str(folder)]) == 0
    assert (folder / "report.html").exists()
    assert "1 run, 0." in capsys.readouterr().out


def test_a_run_whose_samples_are_gone_is_refused(tmp_path, capsys):
    run = summarised(tmp_path / "run", [sample("rnn/literal", 4, 8, 10)])
    path = run / "samples.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    capsys.readouterr()
    assert command("report", [str(run)]) == 2
    assert capsys.readouterr().err.splitlines() == [f"report.py: {path}: no rows"]


def test_a_run_without_summary_is_refused(tmp_path, capsys):
    assert command("report", [str(tmp_path)]) == 2
    assert "summary.csv" in capsys.readouterr().err


def test_a_page_that_is_too_large_is_refused(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "MOST_BYTES", 1000)
    assert command("report", [str(run), "-o", str(tmp_path / "x.html")]) == 2
    assert "more than 1000" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


# ---- colours -----------------------------------------------------------------------------------


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    """Contrast of two colours (WCAG 2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_is_enough(theme):
    colours = {name: both[theme] for name, both in PALETTE.items()}
    for front in ("ink", "muted", "c1"):
        for back in ("ground", "panel"):
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    for name in ("good", "bad", "grey"):
        assert contrast(colours["ink"], colours[name]) >= 4.5, name
    for name in HUES:
        assert contrast(colours[name], colours["ground"]) >= 4.5, name


def test_there_are_five_colours_and_what_comes_after_them_is_grey():
    assert [name for name in PALETTE if re.fullmatch(r"c\d", name)] == HUES and len(HUES) == 5
    many = [*(f"layer{i}" for i in range(9)), "gru", "transformer"]
    found = layer_hues(many)
    assert set(found) == set(many)
    assert (found["transformer"], found["gru"]) == ("c1", "c4")
    assert sorted(found.values()) == sorted([*HUES, *["grey"] * 6])


def test_a_cell_without_a_known_difference_is_neither_faster_nor_slower():
    shade = Shade(full=4)
    same, faster, slower = (shade.look(SimpleNamespace(ratio=ratio, is_same=is_same))
                            for ratio, is_same in ((1.03, True), (1.03, False), (1 / 16, False)))
    assert [look["facecolor"] for look in (same, faster, slower)] == [
        LIGHT["grey"], LIGHT["good"], LIGHT["bad"]]
    assert slower["alpha"] == 1 > shade.look(SimpleNamespace(ratio=1 / 8))["alpha"]


def test_every_colour_of_the_page_follows_the_theme(runs_page):
    text = runs_page.read_text(encoding="utf-8")
    assert set(re.findall(r"#[0-9a-f]{6}\b", text)) <= {colour for both in PALETTE.values()
                                                        for colour in both}
    assert not re.search(r"#[0-9a-f]{6}", text[text.index("<body>"):])


# ---- in a browser ------------------------------------------------------------------------------

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--force-prefers-reduced-motion"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="make deps-browser installs it")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("no chromium or chromedriver: make deps-browser installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for option in [*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=service.Service(programs[1]), options=options)
    yield driver
    driver.quit()


def show(browser, page, width, dark=False):
    """Open the page at a width."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    browser.get(page.as_uri())


def find(browser, selector):
    """All elements of a CSS selector."""
    return browser.find_elements("css selector", selector)


def assert_fits(browser):
    """The page does not scroll sideways, and nothing complained."""
    widths = browser.execute_script("const page = document.documentElement;"
                                    "return [page.scrollWidth, page.clientWidth];")
    assert widths[0] <= widths[1]
    assert browser.get_log("browser") == []


def text_of(browser, name):
    """The text of an element by its id."""
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def choose(browser, name, value):
    """Set a select or a number as a person does."""
    browser.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
        "for (const name of ['input', 'change'])"
        "field.dispatchEvent(new Event(name, {bubbles: true}));", name, value)


@pytest.mark.parametrize("width", [1280, 390])
def test_every_control_works(browser, runs_page, width):
    show(browser, runs_page, width)
    assert_fits(browser)
    names = [element.get_attribute("id") for element in find(browser, "select")]
    assert set(names) == {"run", "engine", "lens", "theme", "model"}
    for element in find(browser, "summary"):
        browser.execute_script("arguments[0].click()", element)
    assert all(element.get_attribute("open") for element in find(browser, "details"))
    for name in names:
        values = browser.execute_script("return [...document.getElementById(arguments[0]).options]"
                                        ".map((option) => option.value)", name)
        assert values
        for value in values[1:] + values[:1]:
            choose(browser, name, value)
            assert browser.execute_script("return document.getElementById(arguments[0]).value",
                                          name) == value
            assert_fits(browser)
    for element in find(browser, "th button"):
        browser.execute_script("arguments[0].click()", element)
    assert_fits(browser)


SHOWN = "[...document.querySelectorAll('svg.plot')].filter((each) => !each.closest('[hidden], details:not([open])'))"
TEXTS = (f"return {SHOWN}.flatMap((each) => [...each.querySelectorAll('text')]"
         ".map((text) => text.getBoundingClientRect().height))")
WIDTHS = f"return {SHOWN}.map((each) => [each.clientWidth, each.parentNode.clientWidth])"


def test_figures_fill_their_place_in_a_window_as_it_opens(browser, run, tmp_path):
    """Nothing is emulated and nothing resized: the page as a person gets it, with 15 layers."""
    many = tmp_path / "many"
    rows = [sample(f"{layer}/full", seq_len, 64, 10 * seq_len + i, parameters=64 ** 2)
            for i, layer in enumerate(["transformer", *(f"layer{i}" for i in range(15))])
            for seq_len in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)]
    summarised(many, rows, HOST)
    assert command("report", [str(many)]) == 0
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.set_window_size(1280, 900)
    browser.get((many / "report.html").as_uri())
    assert browser.execute_script("return innerWidth") >= 1200
    assert len(browser.execute_script(WIDTHS)) == 1  # the others are under a heading
    for element in find(browser, "summary"):
        browser.execute_script("arguments[0].click()", element)
    found = browser.execute_script(WIDTHS)
    assert len(found) > 30
    for own, place in found:
        assert own == place and 330 <= own <= 960
    assert min(browser.execute_script(TEXTS)) >= 9


def test_figures_are_readable_on_a_telephone(browser, runs_page):
    show(browser, runs_page, 390)
    for element in find(browser, "summary"):
        browser.execute_script("arguments[0].click()", element)
    assert all(own == place and own >= 330 for own, place in browser.execute_script(WIDTHS))
    assert min(browser.execute_script(TEXTS)) >= 9


def test_look_up_of_batches_is_per_token_of_one_sequence(tmp_path):
    rows = [sample(f"{layer}/x", ns=1000 * 4 * 64, seq_len=64, hid_size=64, batch=4, round=number)
            for layer in ("lstm", "transformer") for number in range(3)]
    run = Run.load(summarised(tmp_path / "run", rows))
    assert report.looked_up(run, ["openblas"])["ns"] == pytest.approx([1000, 1000])


def test_first_screen_has_figure_answer_and_look_up(browser, runs_page):
    show(browser, runs_page, 1280)
    bottoms = browser.execute_script(
        "return ['h1', '#lens', '#answer svg.plot', '#s', '#lookup-result .headline', '.bar']"
        ".map((name) => document.querySelector(name).getBoundingClientRect().bottom)")
    assert bottoms == sorted(bottoms) and bottoms[-1] <= 900
    assert 1 <= len(find(browser, "#answer [data-run='0'] .front > div > p")) <= 3


def test_the_bar_stays_in_sight(browser, runs_page):
    show(browser, runs_page, 1280)
    browser.execute_script("scrollTo(0, 1e6)")
    assert browser.execute_script("return scrollY") > 0
    assert find(browser, "#bar")[0].rect["y"] == pytest.approx(
        browser.execute_script("return scrollY"), abs=1)


def test_figures_show_values_by_keys_and_by_the_pointer(browser, runs_page):
    show(browser, runs_page, 1280)
    picture = find(browser, "svg.plot")[0]
    tip = find(browser, "#tip")[0]
    browser.execute_script("arguments[0].focus()", picture)
    picture.send_keys("\ue014")  # arrow right
    first = tip.text
    picture.send_keys("\ue014")
    assert tip.is_displayed() and "takes" in first and tip.text != first
    picture.send_keys("\ue00c")  # escape
    assert not tip.is_displayed()
    browser.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "arguments[0].dispatchEvent(new PointerEvent('pointermove', {bubbles: true,"
        "clientX: box.left + box.width / 2, clientY: box.top + box.height / 2}));", picture)
    assert tip.is_displayed() and tip.text


def cells_of(browser, selector):
    """The rows of a table's body as lists of texts."""
    return browser.execute_script(
        "return [...document.querySelectorAll(`${arguments[0]} tbody tr`)]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))", selector)


def test_lookup_ranks_the_fastest_variants_of_the_engine_through_the_lens(browser, runs_page):
    """At S 1024, H 64 a token takes 500 ns in rnn/hoisted, 2560 in lstm, 4.5 times that beside."""
    show(browser, runs_page, 1280)
    for name, value in (("s", 1024), ("h", 64), ("lens", "layer"), ("engine", "openblas")):
        choose(browser, name, str(value))
    rows = cells_of(browser, "#lookup-result")
    assert [(row[0], row[2], row[5]) for row in rows] == [
        ("RNN", "0.50", "rnn/hoisted"), ("LSTM", "2.6", "lstm/hoisted"),
        ("Transformer block", "12", "transformer/tiled")]
    assert text_of(browser, "lookup-result").startswith(
        "At S = 1024, H = 64, layer for layer, the RNN takes the least time: 0.50 µs per token; "
        "the Transformer block takes 23 times as long.")
    choose(browser, "engine", "any")
    words = text_of(browser, "lookup-result")
    assert "lstm/other" in words and "lstm/hoisted" not in words
    choose(browser, "lens", "parameter")
    rows = cells_of(browser, "#lookup-result")
    assert [(row[0], row[2]) for row in rows] == [
        ("LSTM", "1.4"), ("RNN", "3.0"), ("Transformer block", "12")]


def test_lookup_interpolates_between_sizes_and_refuses_others(browser, runs_page):
    show(browser, runs_page, 1280)
    for name, value in (("lens", "layer"), ("engine", "openblas"), ("s", 128), ("h", 128)):
        choose(browser, name, str(value))
    between = {row[0]: row[2] for row in cells_of(browser, "#lookup-result")}
    assert between["LSTM"] == "5.1"  # 40 ns times HidSize
    assert "Interpolated between measured sizes." in text_of(browser, "lookup-result")
    choose(browser, "h", "256")
    assert "Interpolated" not in text_of(browser, "lookup-result")
    choose(browser, "s", "5000")
    assert text_of(browser, "lookup-result") == "SeqLen 5000 is outside the measured 16 to 1024."
    choose(browser, "s", "")
    assert text_of(browser, "lookup-result") == "Type a number for SeqLen."


def test_lookup_goes_to_the_size_of_a_model(browser, runs_page):
    show(browser, runs_page, 1280)
    choose(browser, "model", "31,128")
    assert text_of(browser, "lookup-result").startswith("At S = 31, H = 128")
    assert browser.execute_script("return document.querySelector('#model option:checked').textContent"
                                  ) == "Silero VAD, decoder LSTM"
    choose(browser, "s", "32")
    assert browser.execute_script("return document.getElementById('model').value") == ""


def test_lookup_knows_no_difference(browser, tmp_path):
    """Whose intervals overlap: neither is ahead."""
    rows = [sample(f"{layer}/full", seq_len, 64, ns * (1 + 0.1 * round), round=round,
                   parameters=64 ** 2)
            for round in range(3) for seq_len in (16, 64)
            for layer, ns in (("transformer", 1000), ("lstm", 1001), ("rnn", 9000))]
    run = summarised(tmp_path / "run", rows)
    assert command("report", [str(run)]) == 0
    show(browser, run / "report.html", 1280)
    words = text_of(browser, "lookup-result")
    assert "no difference between them" in words and "the RNN takes the least" not in words
    assert [row[4] for row in cells_of(browser, "#lookup-result")][1:] == ["no difference", "9.0x"]


@pytest.mark.parametrize("value", [0.35, 0.953, 0.996, 1.0003, 1.04, 9.96, 12.6, 1449, 0.0123])
def test_page_rounds_as_the_scripts_do(browser, value):
    script = embed.PAGE.joinpath("page.js").read_text(encoding="utf-8")
    start, end = (script.index(word) for word in ("// Two digits", "const listing"))
    assert browser.execute_script(f"{script[start:end]} return times(arguments[0]);",
                                  value) == wording.ratio_text(value)


def test_the_lens_is_switched_everywhere(browser, runs_page):
    show(browser, runs_page, 1280)
    seen = ("return [...document.querySelectorAll('[data-lens]')].filter((each) => !each.hidden)"
            ".map((each) => each.dataset.lens)")
    assert set(browser.execute_script(seen)) == {"parameter"}
    choose(browser, "lens", "layer")
    assert set(browser.execute_script(seen)) == {"layer"}


def test_choices_of_run_and_engine_show_one_of_each(browser, runs_page):
    show(browser, runs_page, 1280)
    heat = "return [...document.querySelectorAll('#answer figure')]" \
           ".filter((each) => each.clientWidth).length"
    assert browser.execute_script(heat) == 1
    assert "make csv RUN=" not in find(browser, "#tables")[0].text
    choose(browser, "run", "1")
    choose(browser, "engine", "openblas")
    assert browser.execute_script(heat) == 1
    for element in find(browser, "summary"):
        browser.execute_script("arguments[0].click()", element)
    words = find(browser, "#tables")[0].text
    assert words.count("make csv RUN=") == len(DERIVED)
    assert "roofline.csv" in find(browser, "#figures")[0].text


def test_runs_stand_side_by_side_with_roofs_crossovers_and_wins(browser, run, tmp_path):
    """A third run has one cell only, so no cell is in all of them."""
    other, third = (tmp_path / name for name in ("other", "third"))
    shutil.copytree(run, other)
    summary = runs.load_derived(other, "summary.csv")
    for column in ("median_ns", "ci_low_ns", "ci_high_ns"):
        summary[column] /= 2
    runs.write_text(other / "summary.csv", runs.csv_text(summary))
    summarised(third, [sample("tcn/a", 4, 8, 100), sample("roof/fma", 1, 1, 10, flops=500)], HOST)
    out = tmp_path / "three.html"
    assert command("report", [*map(str, (run, other, third)), "-o", str(out)]) == 0
    show(browser, out, 1280)
    assert_fits(browser)
    rows = cells_of(browser, "#runs")
    assert ["fma GFLOP/s", "200", "200", "50"] in rows
    assert ["lstm", "256", "4", "S > 50", "S > 50", ""] in [[*row[:3], *row[4:]] for row in rows]
    wins = next(row[1:] for row in rows if row[0] == "lstm" and row[-3:] == ["1.0x", "2.0x", ""])
    assert int(wins[0]) > 0 and wins[1:5] == ["0", wins[0], "0", "0"]
    assert "no layer was timed at the same size" in text_of(browser, "runs")


def test_themes_follow_the_system_and_the_switch(browser, runs_page):
    colour = ("const fill = getComputedStyle(document.querySelector('svg.plot text')).fill;"
              "return [getComputedStyle(document.body).backgroundColor, fill]")
    show(browser, runs_page, 1280, dark=True)
    dark = browser.execute_script(colour)
    choose(browser, "theme", "light")
    light = browser.execute_script(colour)
    show(browser, runs_page, 1280)
    assert browser.execute_script(colour) == light
    assert dark[0] != light[0] and dark[1] != light[1]
    choose(browser, "theme", "dark")
    assert browser.execute_script(colour) == dark


def test_columns_sort_both_ways(browser, run, tmp_path):
    out = tmp_path / "one.html"
    assert command("report", [str(run), "-o", str(out)]) == 0
    show(browser, out, 1280)
    orders = []
    for _ in range(2):
        browser.execute_script("document.querySelector('#evidence th button').click()")
        orders.append([row[0] for row in cells_of(browser, "#evidence details:first-of-type")])
    assert orders[0] == orders[1][::-1] and len(orders[0]) > 1
    assert "One run." in text_of(browser, "runs")
