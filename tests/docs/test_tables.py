"""What the manual says of names, defaults, files and pictures is what the code has."""

import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from benchmarks import backlog, latency, order, producer, snapshot, web
from outbox import Backoff, consumer, publish
from outbox.models import Status
from tests.harness.manual import PAGES, README, ROOT, page, pages

LONGEST_README = 160
SVG = "{http://www.w3.org/2000/svg}"
DRAWN = sorted((PAGES / "pictures").glob("*.svg"))


@pytest.fixture
def settings_page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    import settings_page

    yield settings_page
    sys.modules.pop("settings_page", None)


def first_column(path: Path, *, after: str) -> set[str]:
    """Return the names in the first column of the first table below ``after``."""
    table = path.read_text().partition(after)[2].partition("\n|")[2].partition("\n\n")[0]
    return {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_the_page_of_settings_is_what_the_code_says(settings_page):
    assert (PAGES / "settings.md").read_text() == settings_page.page()


@pytest.mark.parametrize(
    ("function", "heading"),
    [(consumer, "## Options of a consumer"), (publish, "## Publish")],
    ids=["consumer", "publish"],
)
def test_every_option_has_its_line(function, heading):
    options = [one.name for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY]

    assert first_column(page("consumers"), after=heading) == set(options)


def test_every_option_of_a_backoff_has_its_line():
    found = first_column(page("consumers"), after="The options of `Backoff`:")

    assert found == {field.name for field in fields(Backoff)}


def test_every_metric_stands_on_a_page():
    code = "".join(path.read_text() for path in (ROOT / "outbox" / "monitoring").glob("*.py"))
    made = re.findall(r'(Gauge|Counter|Histogram)MetricFamily\(\s*"(\w+)"', code)
    names = {f"{name}_total" if kind == "Counter" else name for kind, name in made}
    described = set(re.findall(r"`(outbox_\w+)", "".join(path.read_text() for path in pages())))

    assert len(names) > 40
    assert names <= described


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= LONGEST_README


def test_every_guarantee_and_every_gap_names_a_test_that_there_is():
    text = README.read_text()
    rows = re.findall(r"\]\((tests/[\w/]+\.py)\) `(test_\w+)`", text)

    assert len(rows) > 20
    assert len(rows) == text.count("](tests/")
    missing = [row for row in rows if f"def {row[1]}(" not in (ROOT / row[0]).read_text()]
    assert missing == []


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_every_file_of_ours_that_is_named_is_there(path):
    named = re.findall(r"`((?:tests|benchmarks|outbox|config|awards|docs)/[\w./-]*[\w/])`", path.read_text())

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_contents():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    given = yaml.load((ROOT / "docs" / "mkdocs.yml").read_text(), Loader)

    listed = re.findall(r"'([\w-]+\.md)'", str(given["nav"]))
    assert sorted(listed) == sorted(each.name for each in PAGES.glob("*.md"))


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_every_picture_is_a_file_of_ours_and_is_told_in_words(path):
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", path.read_text())

    assert [file for words, file in shown if len(words) < 20 or not (path.parent / file).is_file()] == []
    assert "```mermaid" not in path.read_text()  # drawn by a script that is fetched from elsewhere


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_a_drawn_picture_has_a_title_reads_in_the_dark_and_fetches_nothing(path):
    text = path.read_text()
    picture = ElementTree.fromstring(text)

    assert picture.findtext(f"{SVG}title")
    assert "@media (prefers-color-scheme: dark)" in text
    assert re.findall(r"https?://[^\"\s]+", text) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in text


def test_the_picture_of_states_has_every_status():
    picture = ElementTree.parse(PAGES / "pictures" / "states.svg")

    assert set(Status.values) <= {text.text for text in picture.iter(f"{SVG}text")}


@pytest.mark.parametrize(
    ("measured", "required"),
    [
        ("commit → success at 50/s", f"{latency.BESIDE_CELERY} × Celery's"),
        ("at 400/s", f"p99 {latency.REQUIRED[400][1]:.0f} ms"),
        ("a whole draw with its messages", f"+ {producer.DRAW_AT_MOST:.0%}"),
        ("one INSERT with its message", f"{producer.INSERT_AT_MOST} ×"),
        ("draws per second through the web server", f"{web.AT_LEAST} ×"),
        ("one ordering key", f"{order.AT_LEAST[1]} ×"),
        ("a thousand ordering keys", f"{order.AT_LEAST[1_000]} ×"),
        ("200,000 messages while a snapshot is held", f"{snapshot.AT_LEAST} ×"),
        ("200,000 waiting while producers go on", f"+ {backlog.GROWTH_AT_MOST - 1:.0%}"),
    ],
)
def test_what_the_manual_says_is_required_is_what_the_benchmarks_require(measured, required):
    [row] = [line for line in page("compared").read_text().splitlines() if line.startswith(f"| {measured}")]

    assert required.replace("%", " %") in row.split("|")[-2]


def test_latencies_that_two_pages_name_are_the_same():
    compared = page("compared").read_text()
    [told] = re.findall(r"\*\*Latency\.\*\* (.*?)\n\n", page("brokers").read_text(), re.DOTALL)
    [at_50] = [line for line in compared.splitlines() if line.startswith("| commit → success at 50/s")]
    [at_400] = [line for line in compared.splitlines() if line.startswith("| at 400/s")]

    ours, others, ours_under_load, others_under_load = re.findall(r"[\d.]+(?= ms)", told)
    assert f"| {ours} / " in at_50
    assert f"procrastinate {others};" in at_50
    assert f"| {ours_under_load} / " in at_400
    assert f"procrastinate {others_under_load};" in at_400
