"""Every string of the outbox is translated into Simplified Chinese, and the compiled file is the newest."""

import ast
import gettext
from pathlib import Path

import pytest
from django.utils import translation

from tests.harness.translation import FILES, HOME, MARKERS, strings_of_code, strings_of_template

COMPILED = HOME / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.mo"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_every_string_has_its_translation(path: Path) -> None:
    with COMPILED.open("rb") as file:
        chinese = gettext.GNUTranslations(file)
    strings = strings_of_code(path) if path.suffix == ".py" else strings_of_template(path)

    missing = [text for text in strings if chinese.gettext(text) == text]

    assert missing == []


def test_nothing_is_translated_that_nobody_says() -> None:
    with COMPILED.open("rb") as file:
        catalog = gettext.GNUTranslations(file)._catalog
    said = {
        text
        for path in FILES
        for text in (strings_of_code(path) if path.suffix == ".py" else strings_of_template(path))
    }

    translated = {key[0] if isinstance(key, tuple) else key for key in catalog} - {""}

    assert translated - said == set()


def test_what_makemessages_does_not_find_is_no_string() -> None:
    """It reads no call within an f-string, and knows a function by these names alone."""
    missed = [
        f"{path.relative_to(HOME)}: {ast.unparse(call)}"
        for path in FILES
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in MARKERS
    ]
    renamed = [
        f"{path.relative_to(HOME)}: {name.asname}"
        for path in FILES
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for name in node.names
        if name.asname and name.asname not in MARKERS
    ]

    assert missed + renamed == []


def test_strings_are_found_at_all() -> None:
    found = [text for path in FILES if path.suffix == ".html" for text in strings_of_template(path)]

    assert {"Work queue", "What to do:", "took %(span)s"} <= set(found)


@pytest.mark.parametrize("name", ["base_site.html", "index.html"])
def test_the_site_s_own_head_is_translated_too(name: str) -> None:
    strings = set(strings_of_template(HOME.parent / "templates" / "admin" / name))

    with translation.override("zh-hans"):
        missing = {text for text in strings if translation.gettext(text) == text}

    assert missing == set()
