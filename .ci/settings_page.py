"""``make settings``: write docs/pages/settings.md, from the names, defaults and sentences of ``outbox.conf``."""

import ast
import sys
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from outbox.conf import FOR_EVER, INTERNAL, Conf  # noqa: E402  # the path is set first

PAGE = ROOT / "docs" / "pages" / "settings.md"
HEAD = "| key | default | meaning |\n|---|---|---|\n"
UNITS = [(86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")]

TEXT = """\
# Settings

<!-- Written by make settings, from outbox/conf.py. -->

One dict, `OUTBOX`, in your settings. Every key has a default. Times are `timedelta`. `manage.py check` names a key
that is unknown or has a wrong value, and says what is unsafe.

```python title="myproject/settings.py, at the end"
from datetime import timedelta

OUTBOX = {{
    "PREFIX": "myproject",
    "KEEP_FINISHED": timedelta(days=90),
    "METRICS_TOKEN": "a long random text",
}}
```

## What you decide

Set `PREFIX`. The rest can wait.

{decided}
## When somebody is told

{told}
## The engine's own

These work, and `check` warns of them (W060): nobody has to decide them, and a release may change or drop them. They are
here so that you know what the engine does.

{internal}"""


def page() -> str:
    """Return the page."""
    every = fields(Conf)
    internal = [field for field in every if field.name in INTERNAL]
    told = [field for field in every if field not in internal and _is_about_telling(field.name)]
    decided = [field for field in every if field not in internal and field not in told]
    return TEXT.format(decided=_table(decided), told=_table(told), internal=_table(internal))


def _is_about_telling(name: str) -> bool:
    return name.endswith(("_warning", "_critical")) or name.startswith(("alert_", "rescan_", "maintenance_"))


def _table(rows: Iterable[Field[Any]]) -> str:
    sentences = _sentences()
    cells = [f"| `{row.name.upper()}` | {_default(row.default)} | {sentences[row.name]} |\n" for row in rows]
    return HEAD + "".join(cells)


def _default(value: object) -> str:
    """Return a default as people write it."""
    if value is MISSING:
        return "`{}`"
    if value == FOR_EVER:
        return "for ever"
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        size, unit = next(
            ((size, unit) for size, unit in UNITS if seconds >= size * (2 if unit == "days" else 1)), (1, "s")
        )
        return f"{seconds / size:g} {unit}"
    return f'`"{value}"`' if isinstance(value, str) else f"{value:,}"


def _sentences() -> dict[str, str]:
    """Return what stands below each setting in the code."""
    tree = ast.parse((ROOT / "outbox" / "conf.py").read_text())
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Conf"]
    return {
        str(ast.unparse(setting.target)): " ".join(str(ast.literal_eval(below.value)).replace("``", "`").split())
        for setting, below in pairwise(body)
        if isinstance(setting, ast.AnnAssign) and isinstance(below, ast.Expr)
    }


if __name__ == "__main__":
    PAGE.write_text(page())
