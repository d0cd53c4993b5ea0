"""Every string of the outbox is translated into Simplified Chinese, and the compiled file is the newest."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

import outbox

HOME = Path(outbox.__file__).parent
COMPILED = HOME / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.mo"
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}


def strings_of_code(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS and node.args:
            yield ast.literal_eval(node.args[0])


def strings_of_template(path: Path) -> Iterator[str]:
    marked = templatize(path.read_text(), origin=str(path))
    for literal in re.findall(r"""\bn?gettext\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", marked):
        yield ast.literal_eval(literal)


FILES = sorted(
    path for path in [*HOME.rglob("*.py"), *HOME.rglob("templates/**/*.html")] if "migrations" not in path.parts
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_every_string_has_its_translation(path: Path) -> None:
    with COMPILED.open("rb") as file:
        chinese = gettext.GNUTranslations(file)
    strings = strings_of_code(path) if path.suffix == ".py" else strings_of_template(path)

    missing = [text for text in strings if chinese.gettext(text) == text]

    assert missing == []


def test_strings_are_found_at_all() -> None:
    found = [text for path in FILES if path.suffix == ".html" for text in strings_of_template(path)]

    assert {"Work queue", "What to do:", "took %(span)s"} <= set(found)


@pytest.mark.parametrize("name", ["base_site.html", "index.html"])
def test_the_site_s_own_head_is_translated_too(name: str) -> None:
    strings = set(strings_of_template(HOME.parent / "templates" / "admin" / name))

    with translation.override("zh-hans"):
        missing = {text for text in strings if translation.gettext(text) == text}

    assert missing == set()
