"""Finds in the stylesheets what no browser complains about: it skips what it does not understand, silently.

Told are: what is no CSS, a property that a rule sets twice, a custom property that nobody defines, and a class that no
template, script or module names. ``python .ci/stylesheets.py`` from the top of a checkout; ``make styles`` runs it.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import django
import tinycss2
from tinycss2.ast import AtRule, Declaration, IdentToken, LiteralToken, Node, ParseError, QualifiedRule

HOMES = ("outbox", "awards", "templates")
TELLING = {".html", ".js", ".py"}
"""Files in which a class is given to something."""
GROUPS = {"media", "supports", "layer", "container"}
"""At-rules that hold other rules."""
CUSTOM = re.compile(r"--[\w-]+")
DYNAMIC = re.compile(r"([a-z][\w-]*-)\{\{")
"""The beginning of a class that a template completes: ``desk-tone-{{ tone }}``."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the rest of the project, and the admin that it stands on, name and define."""

    text: str
    properties: frozenset[str]
    beginnings: tuple[str, ...]

    def names(self, name: str) -> bool:
        """Tell whether something has this class."""
        return name.startswith(self.beginnings) or bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", self.text))


def files_in(homes: Iterable[Path], suffixes: set[str]) -> list[Path]:
    """Return the files with these endings, in order."""
    return sorted(path for home in homes for path in home.rglob("*") if path.suffix in suffixes)


def read_known(homes: Iterable[Path]) -> Known:
    """Read what stylesheets may rest on."""
    home_of_django = Path(django.__file__).parent
    everywhere = [*homes, home_of_django / "contrib" / "admin", home_of_django / "forms"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files_in(everywhere, TELLING))
    styles = "\n".join(path.read_text(encoding="utf-8") for path in files_in(everywhere, {".css"}))
    defined = re.findall(r"(--[\w-]+)\s*:", styles) + re.findall(r"setProperty\(\"(--[\w-]+)\"", text)
    return Known(text, frozenset(defined), tuple(DYNAMIC.findall(text)))


def faults_of(stylesheet: str, known: Known) -> Iterator[tuple[int, str]]:
    """Return the faults of a stylesheet, each with its line."""
    yield from _faults(tinycss2.parse_stylesheet(stylesheet, skip_comments=True, skip_whitespace=True), known)


def _faults(rules: Iterable[Node], known: Known) -> Iterator[tuple[int, str]]:
    for rule in rules:
        match rule:
            case ParseError():
                yield rule.source_line, rule.message
            case QualifiedRule():
                for name in _classes(rule.prelude):
                    if not known.names(name):
                        yield rule.source_line, f"nothing has the class {name}"
                yield from _faults_of_block(rule.content, known)
            case AtRule() if rule.content is not None and rule.lower_at_keyword in GROUPS:
                yield from _faults(tinycss2.parse_rule_list(rule.content, True, True), known)


def _classes(prelude: Iterable[Node]) -> Iterator[str]:
    """Return the classes of a selector: the name behind each dot, also in ``:not(…)``."""
    after_dot = False
    for token in prelude:
        if after_dot and isinstance(token, IdentToken):
            yield token.value
        after_dot = isinstance(token, LiteralToken) and token.value == "."
        yield from _classes(getattr(token, "arguments", ()))


def _faults_of_block(content: Iterable[Node], known: Known) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for item in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        match item:
            case ParseError():
                yield item.source_line, item.message
            case Declaration():
                if item.lower_name in seen:
                    yield item.source_line, f"{item.name} is set twice in one rule"
                seen.add(item.lower_name)
                for name in CUSTOM.findall(tinycss2.serialize(item.value)):
                    if name not in known.properties:
                        yield item.source_line, f"nobody defines {name}"


def main() -> int:
    """Print the faults of all stylesheets; 1 if there are any."""
    homes = [Path(home) for home in HOMES]
    known = read_known(homes)
    faults = [
        f"{path}:{line}: {fault}"
        for path in files_in(homes, {".css"})
        for line, fault in faults_of(path.read_text(encoding="utf-8"), known)
    ]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
