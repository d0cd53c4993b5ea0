"""What can be counted of how the code reads: sizes, names with several meanings, rooms, floors and arrows.

``make measure`` prints it for this checkout, ``python .ci/measure.py ROOT`` for another one, ``--json`` for programs.
Only what git tracks is read, and nothing of it is run. Tests and benchmarks count among files and lines; the rest is
about the product: ``outbox``, ``awards`` and ``config``, without migrations.
"""

import argparse
import ast
import json
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median, quantiles

PRODUCT = ("outbox", "awards", "config")
ENGINE = "outbox"
DICTATED = {"_", "log", "app_name", "register", "urlpatterns", "pytestmark", "Command"}
"""Names that a framework or a habit asks for, so that the same one stands in many modules and means the same."""
TOO_LONG = 200
WORST = 15

Tree = Mapping[str, ast.Module]
"""Modules by their paths."""
Arrow = tuple[str, str]
"""A room that imports, and the room it imports."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A name that several modules define, each for itself."""

    name: str
    modules: Sequence[str]


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything that is printed."""

    python_files: int
    python_lines: int
    python_files_with_migrations: int
    python_lines_with_migrations: int
    longest_file: str
    longest_file_lines: int
    functions: int
    statements_median: float
    statements_p95: float
    statements_most: int
    longest_function: str
    names: int
    ambiguous_names: int
    ambiguous_percent: float
    worst_names: Sequence[Ambiguous]
    top_modules: int
    rooms: int
    floors: int
    arrows: int
    arrows_against_the_floors: Sequence[str]
    cycles: Sequence[Sequence[str]]
    long_template_lines: int
    readme_lines: int


def tracked(root: Path) -> list[str]:
    """Return the paths of the files that git tracks and that are there."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], check=True, capture_output=True, text=True)
    return [path for path in listed.stdout.split("\0") if path and (root / path).is_file()]


def is_migration(path: str) -> bool:
    """Tell whether a path is a migration's."""
    return "migrations" in Path(path).parts


def count_lines(path: Path) -> int:
    """Return the number of lines of a text."""
    return len(path.read_text(encoding="utf-8").splitlines())


def body_statements(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the statements of a function at any depth; a function in it counts as one, a docstring as none."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return sum(_statements(statement) for statement in body)


def _statements(node: ast.AST) -> int:
    own = int(isinstance(node, ast.stmt))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return own
    return own + sum(_statements(child) for child in ast.iter_child_nodes(node))


def functions_of(tree: Tree) -> list[tuple[int, str]]:
    """Return the size and the name of every function, the shortest first."""
    return sorted(
        (body_statements(node), f"{path}: {node.name}")
        for path, module in tree.items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk what runs when a module is imported, also under ``if`` and ``try``; not what type checkers alone read."""
    for statement in body:
        yield statement
        match statement:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                yield from top_level(statement.orelse)
            case ast.If() | ast.Try():
                for part in ("body", "orelse", "finalbody"):
                    yield from top_level(getattr(statement, part, []))
                for handler in getattr(statement, "handlers", []):
                    yield from top_level(handler.body)
            case ast.With():
                yield from top_level(statement.body)


def names_defined(module: ast.Module) -> set[str]:
    """Return the functions, classes and constants that a module defines at its top."""
    found: set[str] = set()
    for statement in top_level(module.body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                named = (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
                found |= {node.id for node in named if isinstance(node.ctx, ast.Store)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return {name for name in found if name not in DICTATED and not (name.startswith("__") and name.endswith("__"))}


def where_defined(tree: Tree) -> dict[str, list[str]]:
    """Return every name of the product, and the modules that define it."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, module in sorted(tree.items()):
        for name in names_defined(module):
            places[name].append(path)
    return places


def room_of(path: str) -> str:
    """Return the room of the engine that a module is in: the name right below ``outbox``; empty for its front door."""
    below = Path(path).parts[1]
    return below.removesuffix(".py") if below != "__init__.py" else ""


def arrows_of(tree: Tree) -> set[Arrow]:
    """Return which room of the engine imports which, when it is imported itself."""
    rooms = {room_of(path) for path in tree} - {""}
    arrows = {
        (room_of(path), imported)
        for path, module in tree.items()
        for dotted in _imports(path, module)
        for imported in [dotted.split(".")[1]]
        if imported in rooms
    }
    return {(importer, imported) for importer, imported in arrows if importer and importer != imported}


def _imports(path: str, module: ast.Module) -> Iterator[str]:
    """Return the dotted names that a module imports from the engine, each with at least one part below its own name."""
    package = Path(path).parent.parts
    for statement in top_level(module.body):
        match statement:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(names=names, module=source, level=level):
                base = [*package[: len(package) - level + 1]] if level else []
                base += [source] if source else []
                found = [".".join([*base, alias.name]) for alias in names]
            case _:
                found = []
        yield from (dotted for dotted in found if dotted.startswith(f"{ENGINE}."))


def cycles_of(arrows: set[Arrow]) -> list[list[str]]:
    """Return the rooms that import each other in a circle, circle by circle."""
    reached = {room: _reached(room, arrows) for arrow in arrows for room in arrow}
    circles = {
        frozenset(other for other in reached if other in reached[room] and room in reached[other]) for room in reached
    }
    return sorted(sorted(circle) for circle in circles if circle)


def _reached(room: str, arrows: set[Arrow]) -> set[str]:
    found: set[str] = set()
    coming = [room]
    while coming:
        here = coming.pop()
        new = {imported for importer, imported in arrows if importer == here} - found
        found |= new
        coming += new
    return found


def count_floors(arrows: set[Arrow]) -> int:
    """Return the rooms on the longest chain of imports; those of one circle count as one."""
    circle_of = {room: "+".join(circle) for circle in cycles_of(arrows) for room in circle}
    between = {(circle_of.get(a, a), circle_of.get(b, b)) for a, b in arrows}

    @cache
    def height(room: str) -> int:
        return 1 + max((height(below) for above, below in between if above == room and below != room), default=0)

    return max((height(room) for arrow in between for room in arrow), default=0)


def layers_of(pyproject: str) -> list[str]:
    """Return the engine's layers as import-linter's contract has them, from the top down."""
    linter = tomllib.loads(pyproject).get("tool", {}).get("importlinter", {})
    for contract in linter.get("contracts", []):
        if contract["type"] == "layers" and contract.get("containers") == [ENGINE]:
            return list(contract["layers"])
    return []


def against(layers: Sequence[str], arrows: set[Arrow]) -> list[str]:
    """Return the arrows that go up, or from one room to another that the contract keeps apart on the same layer."""
    place = {
        name.strip(" ()"): (number, "|" in layer)
        for number, layer in enumerate(layers)
        for name in layer.replace(":", "|").split("|")
    }
    return sorted(
        f"{importer} → {imported}"
        for importer, imported in arrows
        if importer in place and imported in place
        if place[imported][0] < place[importer][0] or (place[imported] == place[importer] and place[importer][1])
    )


def measure(root: Path) -> Measures:
    """Measure a checkout."""
    files = tracked(root)
    python = [path for path in files if path.endswith(".py")]
    lines = {path: count_lines(root / path) for path in python}
    own = [path for path in python if not is_migration(path)]
    longest = max(own, key=lambda path: lines[path])
    tree = {
        path: ast.parse((root / path).read_text(encoding="utf-8"), path)
        for path in own
        if Path(path).parts[0] in PRODUCT
    }
    sizes = functions_of(tree)
    places = where_defined(tree)
    ambiguous = [Ambiguous(name, paths) for name, paths in places.items() if len(paths) > 1]
    engine = {path: module for path, module in tree.items() if Path(path).parts[0] == ENGINE}
    arrows = arrows_of(engine)
    templates = [path for path in files if "templates" in Path(path).parts and path.endswith((".html", ".txt"))]
    return Measures(
        python_files=len(own),
        python_lines=sum(lines[path] for path in own),
        python_files_with_migrations=len(python),
        python_lines_with_migrations=sum(lines.values()),
        longest_file=longest,
        longest_file_lines=lines[longest],
        functions=len(sizes),
        statements_median=median(size for size, _name in sizes),
        statements_p95=quantiles((size for size, _name in sizes), n=20, method="inclusive")[-1],
        statements_most=sizes[-1][0],
        longest_function=sizes[-1][1],
        names=len(places),
        ambiguous_names=len(ambiguous),
        ambiguous_percent=round(100 * len(ambiguous) / len(places), 1),
        worst_names=sorted(ambiguous, key=lambda one: (-len(one.modules), one.name))[:WORST],
        top_modules=len({path for path in engine if len(Path(path).parts) == 2 and room_of(path)}),
        rooms=len({room_of(path) for path in engine} - {""}),
        floors=count_floors(arrows),
        arrows=len(arrows),
        arrows_against_the_floors=against(layers_of((root / "pyproject.toml").read_text(encoding="utf-8")), arrows),
        cycles=cycles_of(arrows),
        long_template_lines=sum(
            len(line) > TOO_LONG
            for path in templates
            for line in (root / path).read_text(encoding="utf-8").splitlines()
        ),
        readme_lines=count_lines(root / "README.md"),
    )


def as_table(found: Measures) -> str:
    """Return the measures as people read them."""
    rows = [
        ("Python, without migrations", f"{found.python_files:,} files, {found.python_lines:,} lines"),
        (
            "Python, with migrations",
            f"{found.python_files_with_migrations:,} files, {found.python_lines_with_migrations:,} lines",
        ),
        ("longest file", f"{found.longest_file_lines:,} lines, {found.longest_file}"),
        ("functions of the product", f"{found.functions:,}"),
        (
            "statements of a function",
            f"median {found.statements_median:g}, 95 % up to {found.statements_p95:g}, at most {found.statements_most}",
        ),
        ("longest function", found.longest_function),
        (
            "names with several meanings",
            f"{found.ambiguous_names} of {found.names}: {found.ambiguous_percent:g} %",
        ),
        ("modules at the top of outbox/", f"{found.top_modules}"),
        ("rooms of outbox/", f"{found.rooms}"),
        ("floors between them", f"{found.floors}"),
        ("arrows between them", f"{found.arrows}, against the floors: {len(found.arrows_against_the_floors)}"),
        ("circles of rooms", f"{len(found.cycles)}"),
        (f"template lines over {TOO_LONG}", f"{found.long_template_lines}"),
        ("lines of the README", f"{found.readme_lines}"),
    ]
    width = max(len(label) for label, _value in rows)
    parts = ["\n".join(f"{label:<{width}}  {value}" for label, value in rows)]
    parts += [f"against the floors: {arrow}" for arrow in found.arrows_against_the_floors]
    parts += [f"circle: {', '.join(circle)}" for circle in found.cycles]
    if found.worst_names:
        widest = max(len(one.name) for one in found.worst_names)
        worst = [f"  {one.name:<{widest}}  {len(one.modules)}: {', '.join(one.modules)}" for one in found.worst_names]
        parts += ["\n".join(["", f"names that most modules define, the worst {len(worst)}:", *worst])]
    return "\n".join(parts)


def as_json(found: Measures) -> str:
    """Return the measures as programs read them."""
    return json.dumps(asdict(found), indent=2, ensure_ascii=False)


def main() -> None:
    """Print the measures of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("root", nargs="?", type=Path, default=here, help="a checkout; this one if none is named")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(options.root)
    sys.stdout.write(
        (json.dumps(asdict(found), indent=2, ensure_ascii=False) if options.json else as_table(found)) + "\n"
    )


if __name__ == "__main__":
    main()
