"""What AMQP gives, as JSON that any database stores, and back: nothing of a message is lost on the way.

JSON has no bytes, times and exact numbers, and PostgreSQL stores no NUL characters. Such a value is an object of one
key that says what it was: ``{"$bytes": "base64…"}``.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

DEEPEST = 50
"""Levels of a header that are kept apart; what lies deeper is kept as text."""
FLOAT_LIMIT = 1e16
"""From here on PostgreSQL gives another number back."""
KINDS = ("$bytes", "$text", "$datetime", "$decimal", "$float", "$int", "$object", "$repr")


def freeze(value: Any, depth: int = 0) -> Any:
    """Return a value of AMQP as JSON; of what AMQP does not have, its ``repr``."""
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) < 2**63 else {"$int": str(value)}
        case str():
            return value if _is_storable(value) else {"$text": _as_base64(value.encode("utf-8", "surrogatepass"))}
        case bytes() | bytearray() | memoryview():
            return {"$bytes": _as_base64(bytes(value))}
        case float():
            return value if abs(value) < FLOAT_LIMIT else {"$float": repr(value)}
        case datetime():
            return {"$datetime": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
        case Mapping() if depth < DEEPEST:
            return _freeze_object(value, depth)
        case list() | tuple() if depth < DEEPEST:
            return [freeze(item, depth + 1) for item in value]
        case _:
            return {"$repr": freeze(repr(value))}


def thaw(value: Any) -> Any:
    """Return what ``freeze`` was given."""
    match value:
        case {"$bytes": str(text)} if len(value) == 1:
            return base64.b64decode(text)
        case {"$text": str(text)} if len(value) == 1:
            return base64.b64decode(text).decode("utf-8", "surrogatepass")
        case {"$datetime": str(text)} if len(value) == 1:
            return datetime.fromisoformat(text)
        case {"$decimal": str(text)} if len(value) == 1:
            return Decimal(text)
        case {"$float": str(text)} if len(value) == 1:
            return float(text)
        case {"$int": str(text)} if len(value) == 1:
            return int(text)
        case {"$repr": text} if len(value) == 1:
            return thaw(text)
        case {"$object": list(pairs)} if len(value) == 1:
            return {thaw(key): thaw(item) for key, item in pairs}
        case dict():
            return {key: thaw(item) for key, item in value.items()}
        case list():
            return [thaw(item) for item in value]
        case _:
            return value


def as_seconds(at: Any) -> Any:
    """Return AMQP's timestamp as a time of day, where it is one."""
    if type(at) is not int:
        return at
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return at


def _freeze_object(value: Mapping[Any, Any], depth: int) -> Any:
    """Return an object as one, or as pairs if a key is no plain text, or is one of ours."""
    if all(isinstance(key, str) and _is_storable(key) for key in value) and not (value.keys() & set(KINDS)):
        return {key: freeze(item, depth + 1) for key, item in value.items()}
    return {"$object": [[freeze(key), freeze(item, depth + 1)] for key, item in value.items()]}


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
