"""What may be published as JSON: only what both databases give back as it was."""

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

from outbox.errors import InvalidMessage

DEPTH_LIMIT = 100
"""Levels of a payload. Python reads JSON by recursion: what only just fits at the publisher may not at the worker."""
FLOAT_LIMIT = 1e16
"""From here on Python writes a float as digits with an exponent, and does not get the same float back."""
ESCAPED_NUL = "\\u0000"
"""How JSON writes a NUL character; a text may say that as well."""

_as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


def encode(name: str, value: Any) -> str:
    """Return ``value`` as JSON that both databases store and give back unchanged, or say where it is not.

    Equal values are one text: the keys are sorted.
    """
    try:
        if not _is_plain(value, 0):
            _check_json(name, value, 0)
        text = _as_json(value)
        if not _is_storable(text):
            _check_json(name, value, 0)
        return text
    except ValueError as error:
        raise InvalidMessage(f"{name} is not JSON: {error}") from error


def canonical(value: Any) -> str:
    """Return what was read from JSON as one text for equal values; not looked at whether a database would store it."""
    return _as_json(value)


def digest_of(text: str) -> str:
    """Return what tells one published payload from another, of its text as ``encode`` has written it."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _is_plain(value: Any, depth: int) -> bool:
    """Tell whether a value is JSON beyond doubt, but for characters: several times as fast as to find what is not."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool:
        return True
    if kind is float:
        return bool(abs(value) < FLOAT_LIMIT)
    if depth == DEPTH_LIMIT or kind not in (dict, list):
        return False
    if kind is list:
        return all(_is_plain(item, depth + 1) for item in value)
    for key, item in value.items():
        if type(key) is not str or not (type(item) is str or _is_plain(item, depth + 1)):
            return False
    return True


def _is_storable(text: str) -> bool:
    """Tell whether JSON that was written has no character that PostgreSQL cannot store; False if that is in doubt."""
    if ESCAPED_NUL in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_json(path: str, value: Any, depth: int) -> None:
    match value:
        case None | bool() | int():
            return
        case str():
            check_characters(path, value)
        case float():
            if value != value or value in (float("inf"), float("-inf")):
                raise InvalidMessage(f"{path} is {value}, which JSON does not have")
            if abs(value) >= FLOAT_LIMIT:
                # PostgreSQL keeps the decimal digits and gives them back as an int, which is another number.
                raise InvalidMessage(f"{path} is {value}, which would not come back as the same number; use int or str")
        case dict() | list() | tuple() if depth == DEPTH_LIMIT:
            name = path.partition("[")[0]
            raise InvalidMessage(f"{name} is nested too deeply: at most {DEPTH_LIMIT} levels of lists and dicts")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidMessage(f"{path} has the key {key!r}; JSON keys are str, convert it yourself")
                check_characters(f"a key of {path}", key)
                _check_json(f"{path}[{key!r:.50}]", item, depth + 1)
        case list() | tuple():
            for index, item in enumerate(value):
                _check_json(f"{path}[{index}]", item, depth + 1)
        case _:
            raise InvalidMessage(f"{path} is of type {type(value).__name__}, which is not JSON; {_instead_of(value)}")


def _instead_of(value: object) -> str:
    """Return what to publish instead of a value that is not JSON."""
    match value:
        case Model():
            return "publish its id, which is pk, and read the row in the consumer"
        case QuerySet():
            return "publish a list of ids, and read the rows in the consumer"
        case datetime() | date() | time():
            return "publish its isoformat()"
        case timedelta():
            return "publish its total_seconds()"
        case Decimal() | UUID():
            return "publish it as text, by str()"
        case set() | frozenset():
            return "publish a sorted list"
        case bytes() | bytearray():
            return "publish text, such as base64"
        case _:
            return "convert it yourself"


def check_characters(path: str, text: str) -> None:
    """Raise ``InvalidMessage`` for text that PostgreSQL cannot store; ``path`` says where it is."""
    if "\0" in text:
        raise InvalidMessage(f"{path} contains a NUL character, which PostgreSQL cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidMessage(f"{path} contains a lone surrogate, which is not valid text") from None
