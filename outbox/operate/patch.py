"""A patch: one change that is made to many payloads alike."""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from outbox.errors import NotAllowed
from outbox.operate.differences import are_same
from outbox.operate.json_texts import read_json

PARTS = {"rename": dict, "set": dict, "remove": list}


@dataclass(frozen=True, slots=True)
class Patch:
    """Keys of a payload, which must be an object, to rename (``{old: new}``), to set (``{key: value}``), to remove.

    A key inside an object is written with dots: ``"address.street"``. They are renamed first, then set, then removed.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether it changes anything."""
        return bool(self.rename or self.set or self.remove)

    @property
    def paths(self) -> list[str]:
        """Every key that it touches."""
        return [*self.rename, *self.rename.values(), *self.set, *self.remove]

    def __call__(self, payload: Any) -> Any:
        """Return the payload as it is afterwards; raise ``NotAllowed`` where it does not fit."""
        if not self:
            return payload
        changed = deepcopy(payload)
        for old, new in self.rename.items():
            value = _take(changed, old)
            parent, key = _place(changed, new)
            if key in parent:
                raise NotAllowed(_("The payload has both “%(old)s” and “%(new)s”.") % {"old": old, "new": new})
            parent[key] = value
        for path, value in self.set.items():
            parent, key = _place(changed, path)
            parent[key] = deepcopy(value)
        for path in self.remove:
            _take(changed, path)
        return changed

    def as_json(self) -> dict[str, Any]:
        """Return it as ``from_json`` reads it."""
        return {"rename": dict(self.rename), "set": dict(self.set), "remove": list(self.remove)}

    @classmethod
    def from_json(cls, values: Any) -> "Patch":
        """Return the patch that an object with ``rename``, ``set`` and ``remove`` is; ``NotAllowed`` if it is none."""
        wrong = not isinstance(values, dict) or any(
            name not in PARTS or not isinstance(value, PARTS[name]) for name, value in values.items()
        )
        if wrong or not all(
            isinstance(name, str) for name in [*values.get("rename", {}).values(), *values.get("remove", [])]
        ):
            raise NotAllowed(_("A patch is an object with “rename” and “set” (objects) and “remove” (a list of keys)."))
        return cls(values.get("rename", {}), values.get("set", {}), tuple(values.get("remove", [])))

    @classmethod
    def between(cls, before: Any, after: Any) -> "Patch | None":
        """Return the patch that makes ``after`` of ``before``; None if one is no object, or a changed key has dots."""
        if not isinstance(before, dict) or not isinstance(after, dict):
            return None
        changed = {key: value for key, value in after.items() if key not in before or not are_same(before[key], value)}
        removed = [key for key in before if key not in after]
        return None if any("." in key for key in (*changed, *removed)) else cls({}, changed, tuple(removed))

    def in_words(self) -> list[str]:
        """Return what it does, a line a key."""
        return [
            *(_("rename “%(old)s” to “%(new)s”") % {"old": old, "new": new} for old, new in self.rename.items()),
            *(
                _("set “%(path)s” to %(value)s") % {"path": path, "value": _as_text(value)}
                for path, value in self.set.items()
            ),
            *(_("remove “%(path)s”") % {"path": path} for path in self.remove),
        ]


NO_PATCH = Patch()


def read_renames(lines: Iterable[str]) -> dict[str, str]:
    """Return the new name of each key, of lines as ``old = new``; raises ``NotAllowed``."""
    return dict(_pairs(lines))


def read_values(lines: Iterable[str]) -> dict[str, Any]:
    """Return the new value of each key, of lines as ``key = JSON``; raises ``NotAllowed``."""
    return {key: _read_value(key, text) for key, text in _pairs(lines)}


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for line in lines:
        key, separator, value = (part.strip() for part in line.partition("="))
        if not key or not separator or not value:
            raise NotAllowed(_("“%(line)s”: a key, =, and what it becomes.") % {"line": line[:80]})
        if key in seen:
            raise NotAllowed(_("The key “%(key)s” stands there twice.") % {"key": key[:80]})
        seen.add(key)
        yield key, value


def _read_value(key: str, text: str) -> Any:
    try:
        return read_json(text)
    except NotAllowed as refusal:
        said = {"key": key[:80], "why": refusal}
        raise NotAllowed(_("%(key)s: %(why)s Text stands in double quotes.") % said) from refusal


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _place(payload: Any, path: str) -> tuple[dict[str, Any], str]:
    """Return the object that has the last key of the path, and that key."""
    *parents, key = path.split(".")
    for name in parents:
        payload = payload.get(name) if isinstance(payload, dict) else None
    if not isinstance(payload, dict):
        raise NotAllowed(_("The payload has no object for “%(path)s”.") % {"path": path})
    return payload, key


def _take(payload: Any, path: str) -> Any:
    parent, key = _place(payload, path)
    if key not in parent:
        raise NotAllowed(_("The payload has no “%(path)s”.") % {"path": path})
    return parent.pop(key)
