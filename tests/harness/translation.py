"""The strings of the outbox that its readers see."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation.template import templatize

import outbox

HOME = Path(outbox.__file__).parent
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}


def strings_of_code(path: Path) -> Iterator[str]:
    """Yield what a module marks for translation."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS and node.args:
            yield ast.literal_eval(node.args[0])


def strings_of_template(path: Path) -> Iterator[str]:
    """Yield what a template marks for translation."""
    marked = templatize(path.read_text(), origin=str(path))
    for literal in re.findall(r"""\bn?gettext\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", marked):
        yield ast.literal_eval(literal)


FILES = sorted(
    path for path in [*HOME.rglob("*.py"), *HOME.rglob("templates/**/*.html")] if "migrations" not in path.parts
)
