"""The desk's style sheets: every class of a page has its rule, and every rule is of a class that a page has."""

import re
from pathlib import Path

import outbox
from outbox.admin.tones import Tone

HOME = Path(outbox.__file__).parent
CLASS = re.compile(r"\bdesk-[a-z][a-z-]*[a-z]\b")
WITHOUT_RULE = {f"desk-tone-{Tone.QUIET}"}
"""What is said in no tone looks like all the rest."""


def classes_of_pages() -> set[str]:
    """Return the classes in templates and in HTML that the code writes, those of every tone among them."""
    files = [*HOME.glob("templates/**/*.html"), *HOME.glob("admin/**/*.py"), *HOME.glob("templatetags/*.py")]
    attributes = (found for file in files for found in re.findall(r'\bclass="([^"]*(?:\{%[^"]*)*)"', file.read_text()))
    return {name for each in attributes for name in CLASS.findall(each)} | {f"desk-tone-{tone}" for tone in Tone}


def classes_of_rules() -> set[str]:
    """Return the classes that the style sheets speak of."""
    sheets = (re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S) for file in HOME.glob("static/outbox/*.css"))
    return {name for sheet in sheets for name in re.findall(r"\.(desk-[a-z-]+)", sheet)}


def test_every_class_has_a_rule_and_every_rule_a_class() -> None:
    pages, rules = classes_of_pages() - {"desk-tone"}, classes_of_rules()

    assert (pages - rules - WITHOUT_RULE, rules - pages) == (set(), set())
