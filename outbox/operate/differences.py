"""What differs between two payloads, key by key, and what a consumer does not let anybody change."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class Missing(Enum):
    """Stands for the value of a key that is not there."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Difference:
    """One key whose value differs: its path with dots, empty for the payload itself, and both values."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Return what differs, in the order of the keys; objects are compared key by key, all else as a whole."""
    return list(_differ("", before, after))


def _differ(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _differ(f"{path}.{key}" if path else key, before.get(key, MISSING), after.get(key, MISSING))
    elif not are_same(before, after):
        yield Difference(path, before, after)


def are_same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: for Python 1, 1.0 and True are equal."""
    if one is MISSING or other is MISSING:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def changed_among(paths: Sequence[str], before: Any, after: Any) -> list[str]:
    """Return those of the paths whose value, or absence, differs."""
    return [path for path in paths if not are_same(value_at(path, before), value_at(path, after))]


def value_at(path: str, payload: Any) -> Any:
    """Return the value at a path with dots, ``MISSING`` if there is none.

    A key may have dots itself. Where the path meets what is no object, as a list, it is the value: any change counts.
    """
    if not isinstance(payload, dict):
        return [payload]  # not to be taken for the value at the end of a path
    if path in payload:
        return payload[path]
    key, dot, rest = path.partition(".")
    return value_at(rest, payload[key]) if dot and key in payload else MISSING


def touch(paths: Sequence[str], locked: Sequence[str]) -> list[str]:
    """Return those of the ``locked`` keys that one of the paths is, is inside of, or contains."""
    return [
        lock
        for lock in locked
        if any(f"{path}.".startswith(f"{lock}.") or f"{lock}.".startswith(f"{path}.") for path in paths)
    ]
