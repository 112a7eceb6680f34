"""Tests of scripts/report.py: a page from a synthetic run, read by a parser and by a browser."""
import csv
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from test_scripts import VIRTUAL, grid_run, sample, summarised

from conftest import command
from seqbench.page import report
from seqbench.read import runs

HOSTILE = "</script><script>alert('x')</script><!-- \" & \u2028 <img src=x onerror=alert(1)>"
HOST = VIRTUAL | {"cpu": VIRTUAL["cpu"] | {"model": f"CPU {HOSTILE}"},
                  "build": {"flags": "-O3 -march=native"},
                  "libraries": {"openblas_corename": "Cooperlake"}}
VOID = {"meta", "link", "img", "br", "input"}


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
    for name in ("crossover.csv", "claims.csv", "fit.csv", "predict.csv", "whatif.csv",
                 "roofline.csv", "samples.csv"):
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


def unpacked(column):
    """A column of the data as a list."""
    if isinstance(column, list):
        return column
    return [column["words"][place] for place in column["at"]]


# ---- pure functions ----------------------------------------------------------------------------


@pytest.mark.parametrize("value, expected", [
    (1234567.0, 1235000), (0.0123456, 0.01235), (math.nan, None), (math.inf, None), (True, True),
    (12, 12), (1e300, 1e300), ("text", "text"), (2.0, 2)])
def test_numbers_are_cut_to_four_digits(value, expected):
    assert report.rounded(value) == expected
    assert type(report.rounded(value)) is type(expected)


def test_text_that_repeats_is_kept_once():
    assert report.column(["b", "a", "b"]) == {"words": ["a", "b"], "at": [1, 0, 1]}
    assert report.column([1, math.nan]) == [1, None]
    assert report.column([]) == []


def test_embedded_json_cannot_end_its_element():
    text = report.embedded({"name": HOSTILE})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"name": HOSTILE}


def test_flag_rules_are_those_of_the_data_dictionary():
    rules = report.flag_rules(runs.README)
    assert {"migration", "switch", "steal", "clock", "sentinel", "output"} <= set(rules)
    assert rules["steal"] == "stolen ticks make up more than 1 % of wall time"


def test_flags_are_counted_by_rule(run):
    found = report.flag_counts(run)
    counts = {flag: count for flag, _, count in found["flags"]}
    assert (counts["switch"], counts["steal"], counts["clock"]) == (6, 6, 0)
    assert (found["disturbed"], found["failed"]) == (6, 0)


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
    found = data_of(page)["runs"][0]
    assert found["kernels"][0][-1] == HOSTILE and HOSTILE in found["label"]


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
    summary = runs.load_summary(run)
    assert [found["kernels"][place][0] for place in found["cases"]["k"]] == list(summary.kernel)
    assert found["cases"]["ns"] == pytest.approx(list(summary.median_ns), rel=1e-3)
    crossover = runs.load_derived(run, "crossover.csv")
    assert unpacked(found["tables"]["crossover.csv"]["verdict"]) == list(crossover.verdict)
    assert set(found["ratios"]) == {"openblas", "any"}
    assert "lstm/other" not in unpacked(found["ratios"]["openblas"]["kernel"])
    assert "decode" not in unpacked(found["ratios"]["any"]["layer"])


def test_parts_are_in_the_order_of_the_kernels(runs_page):
    parts = data_of(Page(runs_page.read_text(encoding="utf-8")))["runs"][0]["parts"]
    assert parts["lstm"]["names"] == ["gates", "update"]
    seq_len, hid_size, heads, whole, gates, update = parts["lstm"]["rows"][0]
    assert (seq_len, hid_size, heads) == (16, 64, 1)
    assert (gates, update) == (16 * 30 * 64, 16 * 5 * 64) and whole == 1.5 * 40 * 64 * 16


def test_missing_tables_are_said_and_not_needed(runs_page):
    one, other = data_of(Page(runs_page.read_text(encoding="utf-8")))["runs"]
    assert one["missing"] == [] and one["noise"]
    assert set(other["missing"]) == {"crossover.csv", "claims.csv", "fit.csv", "predict.csv",
                                     "whatif.csv", "roofline.csv"}
    assert other["noise"] is None and other["make"].startswith("make csv RUN=")


def test_the_answer_is_there_without_scripts(runs_page):
    page = Page(runs_page.read_text(encoding="utf-8"))
    words = " ".join(page.text["p"])
    assert "Fastest over whole sequences: rnn in 6 of 6 cells." in words
    assert "Transformer block takes" in words


def test_one_run_is_reported_in_its_folder(run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert command("report", [str(folder)]) == 0
    assert (folder / "report.html").exists()
    assert "1 run, 0." in capsys.readouterr().out


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


def themes():
    """The colours of each theme, by name."""
    style = (report.PAGE / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root[^{]*\{([^}]*--ground[^}]*)\}", style)
    assert len(blocks) == 3
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "dark by the system"])
def test_contrast_is_enough(theme):
    colours = themes()[theme]
    for front in ("text", "muted", "accent"):
        for back in ("ground", "panel"):
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    for name in ("good", "bad"):
        assert contrast(colours["text"], colours[name]) >= 4.5, name
    for i in range(8):
        assert contrast(colours[f"c{i}"], colours["ground"]) >= 4.5, i
        assert contrast(colours[f"c{i}"], colours["segment-text"]) >= 4.5, i
    assert contrast(colours["strong-line"], colours["panel"]) >= 3


def test_both_dark_themes_are_one():
    _, dark, by_system = themes()
    assert dark == by_system


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
    """Set a select as a person does."""
    browser.execute_script(
        "const select = document.getElementById(arguments[0]); select.value = arguments[1];"
        "select.dispatchEvent(new Event('change'));", name, value)


@pytest.mark.parametrize("width", [1280, 390])
def test_every_control_works(browser, runs_page, width):
    show(browser, runs_page, width)
    assert_fits(browser)
    names = [element.get_attribute("id") for element in find(browser, "select")]
    assert {"run", "engine", "theme", "lookup-length", "time-size", "parts-layer", "base-run",
            "runs-layer", "roofline-length"} <= set(names)
    for name in sorted(names, key=lambda name: name == "run"):  # the run last: its tables are few
        values = browser.execute_script("return [...document.getElementById(arguments[0]).options]"
                                        ".map((option) => option.value)", name)
        for value in values[1:] + values[:1]:
            choose(browser, name, value)
            assert browser.execute_script("return document.getElementById(arguments[0]).value",
                                          name) == value
            assert_fits(browser)
    for element in find(browser, "input[type=checkbox], .choices button, th button"):
        browser.execute_script("arguments[0].click()", element)
    for element in find(browser, "summary"):
        browser.execute_script("arguments[0].click()", element)
    assert_fits(browser)
    assert all(element.get_attribute("open") for element in find(browser, "details"))


def test_figures_have_a_name_values_by_keys_and_a_table(browser, runs_page):
    show(browser, runs_page, 1280)
    pictures = find(browser, "svg.plot")
    assert len(pictures) >= 8
    for picture in pictures:
        assert picture.get_attribute("aria-label") and picture.get_attribute("tabindex") == "0"
        picture.send_keys("\ue014")  # arrow right
        tip = picture.find_element("xpath", "following-sibling::div")
        assert tip.is_displayed() and tip.text
        picture.send_keys("\ue00c")  # escape
        assert not tip.is_displayed()
    assert len(find(browser, ".figure + details, .figure + .key + details")) == len(pictures)


def test_lookup_ranks_the_fastest_variants_of_the_engine(browser, runs_page):
    show(browser, runs_page, 1280)
    choose(browser, "lookup-length", "1024")
    choose(browser, "lookup-size", "64")
    rows = [[cell.text for cell in row.find_elements("css selector", "td")]
            for row in find(browser, "#lookup-result tbody tr")]
    assert [row[7] for row in rows] == ["rnn/hoisted", "lstm/hoisted", "transformer/tiled",
                                        "decode/full"]
    assert rows[0][2] == "512 µs" and rows[0][5] == "500 ns"
    assert rows[3][0] == "1" and rows[3][5] == rows[3][2] == "102 µs"
    choose(browser, "engine", "any")
    words = text_of(browser, "lookup-result")
    assert "lstm/other" in words and "lstm/hoisted" not in words


def cells_of(browser, host):
    """The rows of a table's body as lists of texts."""
    return browser.execute_script(
        "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))", host)


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
    assert ["fma GFLOP/s", "200", "200", "50"] in cells_of(browser, "runs-roofs")
    found = {tuple(row[:3]): row[3:] for row in cells_of(browser, "runs-crossovers")}
    assert found["lstm", "64", "1"] == ["S > 50", "S > 50", "", "everywhere"]
    wins = {row[0]: row[1:] for row in cells_of(browser, "runs-figure") if row[0] == "lstm"}
    cells = wins["lstm"][0]
    assert int(cells) > 0 and wins["lstm"][1:] == ["0", cells, "0", "0", "1x", "2x", ""]


def test_sections_without_their_file_say_what_makes_it(browser, runs_page):
    show(browser, runs_page, 1280)
    choose(browser, "run", "1")
    for name in ("claims", "crossovers", "fits", "predictions", "whatifs", "roofline-figure"):
        assert "make csv RUN=" in text_of(browser, name), name
    assert "not kept" in text_of(browser, "flags")


def test_themes_follow_the_system_and_the_switch(browser, runs_page):
    colour = "return getComputedStyle(document.body).backgroundColor"
    show(browser, runs_page, 1280, dark=True)
    dark = browser.execute_script(colour)
    choose(browser, "theme", "light")
    light = browser.execute_script(colour)
    show(browser, runs_page, 1280)
    assert browser.execute_script(colour) == light != dark
    choose(browser, "theme", "dark")
    assert browser.execute_script(colour) == dark


def test_columns_sort_both_ways(browser, run, tmp_path):
    out = tmp_path / "one.html"
    assert command("report", [str(run), "-o", str(out)]) == 0
    show(browser, out, 1280)
    button = find(browser, "#lookup-result th button")[4]
    orders = []
    for _ in range(2):
        browser.execute_script("arguments[0].click()", button)
        orders.append([row.text for row in find(browser, "#lookup-result .scroll:first-of-type tbody "
                                                         "tr td:nth-child(2)")])
    assert orders[0] == orders[1][::-1] and len(orders[0]) > 1
    assert "One run." in text_of(browser, "runs-text")
