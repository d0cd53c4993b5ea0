"""Everything that people read is there in Chinese too, and what is committed is what was translated."""

import gettext
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "awards/locale/zh_Hans/LC_MESSAGES/django.mo"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SOURCES = sorted(path for path in (ROOT / "awards").rglob("*.py") if "management" not in path.parts)

IN_TEMPLATES = re.compile(r'{% translate "([^"]+)"')
IN_SOURCES = re.compile(r"\b(?:_|ngettext)\(\s*\"((?:[^\"\\]|\\.)+)\"")


@pytest.fixture(scope="module")
def chinese():
    with CATALOG.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


@pytest.mark.parametrize(
    ("paths", "pattern"), [(TEMPLATES, IN_TEMPLATES), (SOURCES, IN_SOURCES)], ids=["templates", "sources"]
)
def test_no_string_of_ours_is_left_in_english(chinese, paths, pattern):
    strings = {string for path in paths for string in pattern.findall(path.read_text())}
    known = {key[0] if isinstance(key, tuple) else key.split("\4")[-1] for key in chinese}

    assert len(strings) > 15
    assert strings - known == set()


def test_the_compiled_catalog_is_that_of_the_committed_texts(chinese):
    texts = CATALOG.with_suffix(".po").read_text()
    translated = re.findall(r'^msgstr(?:\[0\])? "(.+)"$', texts, re.MULTILINE)

    assert "#, fuzzy" not in texts
    assert 'msgstr ""\n\n' not in texts
    assert {text.replace('\\"', '"') for text in translated} == {text for key, text in chinese.items() if key}
