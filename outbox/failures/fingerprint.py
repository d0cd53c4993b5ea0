"""What two failures have in common: a stable fingerprint of an error, so that a thousand of them are one entry.

Made of the consumer, the class of the exception, the place in the host's own code (or the code that the exception
itself carries), and its text without what differs from case to case. Line numbers have no part in it: they move with
every edit. The version is in the hash, so that a change of the rules never mixes old groups with new ones.
"""

import hashlib
import re
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

from outbox.failures.reasons import TITLES
from outbox.models.said import storable
from outbox.policy import Reason

VERSION = 1
SAMPLE_LENGTH = 2_000
TITLE_LENGTH = 300
PLACE_LENGTH = 200
LINE_LENGTH = 200

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_ENGINE = str(Path(__file__).parent.parent)
_COMPILED = (".pyx", ".pxd")
"""A compiled library, as psycopg 3 is, has frames under names of its own sources, relative to where it was built."""

# In this order: the longer and more telling shapes first.
_VARYING = [
    (re.compile(r"\)=\(.*?\)(?= )"), ")=(<value>)"),
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"), "<time>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<mail>"),
    (re.compile(r"\b\w+://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”|‘[^’]*’"), "<text>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{12,}\b"), "<hex>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A failure group: 64 hex digits, and what people should read of it.

    ``reason`` is set where no exception made it.
    """

    digest: str
    consumer: str
    exception: str
    place: str
    title: str
    reason: str = ""


def fingerprint(consumer: str, error: BaseException) -> Fingerprint:
    """Return the fingerprint of ``error`` as raised in a handler of ``consumer``.

    An exception, or the one it was raised from, may carry a ``failure_code`` (say, what a vendor answered), or the
    ``response`` of an HTTP client with its ``status_code``; that then stands for the place.
    """
    exception = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    place = storable(_code(error) or _own_place(error), most=PLACE_LENGTH)
    title = parameterised(text_of(error))[:TITLE_LENGTH]
    identity = "\0".join([str(VERSION), consumer, exception, place, title])
    digest = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()
    return Fingerprint(digest, consumer, exception, place, title)


def without_error(consumer: str, reason: Reason) -> Fingerprint:
    """Return the fingerprint of a failure that no exception made: expired, lost, nobody took it."""
    digest = hashlib.sha256("\0".join([str(VERSION), consumer, "", "", reason.value]).encode()).hexdigest()
    return Fingerprint(digest, consumer, "", "", title=TITLES[reason], reason=reason.value)


def text_of(error: BaseException) -> str:
    """Return the beginning of the text of ``error``, storable, at most ``SAMPLE_LENGTH`` characters.

    Somebody's broken ``__str__`` must not cost the neighbours their turn.
    """
    try:
        return storable(str(error), most=SAMPLE_LENGTH)
    except Exception:
        # Whatever it raises: the attempt has failed already, and this is only its name.
        return "(its text cannot be read)"


def in_a_line(error: BaseException) -> str:
    """Return the kind of error and the first line of what it says, which names no values of columns."""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}"[:LINE_LENGTH]


def parameterised(text: str) -> str:
    """Return ``text`` with everything that differs from case to case replaced by what kind of thing it is."""
    for shape, name in _VARYING:
        text = shape.sub(name, text)
    return text.strip()


def _code(error: BaseException) -> str:
    for raised in (error, error.__cause__):
        try:
            code = getattr(raised, "failure_code", "") or getattr(getattr(raised, "response", None), "status_code", "")
            if isinstance(code, str | int) and code:
                return str(code)
        except Exception:  # noqa: S112  # a property of somebody's, as with ``said``
            continue
    return ""


def _own_place(error: BaseException) -> str:
    """Return ``file:function`` of the innermost frame that is neither Python's, a library's nor the engine's."""
    for frame, _line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        is_compiled = path.endswith(_COMPILED) and not Path(path).is_absolute()
        if not is_compiled and not path.startswith((*_LIBRARIES, _ENGINE, "<")):
            return f"{'/'.join(Path(path).parts[-2:])}:{frame.f_code.co_qualname}"
    return ""
