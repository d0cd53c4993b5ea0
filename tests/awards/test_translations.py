"""Everything that people read is there in Chinese too, and what is committed is what was translated."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "awards/locale/zh_Hans/LC_MESSAGES/django.mo"
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.suffix in (".html", ".txt"))
SOURCES = sorted(path for path in (ROOT / "awards").rglob("*.py") if "management" not in path.parts)
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
OTHERS = {"templates/admin/base_site.html"}
"""Templates whose words are the engine's or Django's."""
DJANGO = {"Home"}


def strings_of_code(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS and node.args:
            yield ast.literal_eval(node.args[0])


def strings_of_template(path: Path) -> Iterator[str]:
    marked = templatize(path.read_text(), origin=str(path))
    literal = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    for found in re.findall(rf"\bn?gettext\({literal}|\bpgettext\({literal}, {literal}", marked):
        yield ast.literal_eval(found[0] or found[2])


@pytest.fixture(scope="module")
def chinese():
    with CATALOG.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


@pytest.mark.parametrize("path", [*TEMPLATES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_string_of_ours_is_left_in_english(chinese, path):
    strings = set(strings_of_code(path) if path.suffix == ".py" else strings_of_template(path))
    known = {(key[0] if isinstance(key, tuple) else key).split("\4")[-1] for key in chinese}

    assert str(path.relative_to(ROOT)) in OTHERS or strings - known - DJANGO == set()


def test_strings_are_found_at_all():
    found = {string for path in TEMPLATES for string in strings_of_template(path)}

    assert {"What can be won", "Draw", "It has been issued.", "Add codes"} <= found
    assert len({string for path in SOURCES for string in strings_of_code(path)}) > 100


def test_the_compiled_catalog_is_that_of_the_committed_texts(chinese):
    texts = CATALOG.with_suffix(".po").read_text()
    translated = re.findall(r'^msgstr(?:\[0\])? "(.+)"$', texts, re.MULTILINE)

    assert "#, fuzzy" not in texts
    assert 'msgstr ""\n\n' not in texts
    assert {text.replace('\\"', '"') for text in translated} == {text for key, text in chinese.items() if key}
