"""How the practice vendor misbehaves, and what decides when."""

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from typing import Any

DISCONTINUED = "DISCONTINUED"
"""The article that the vendor refuses for good, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Shares of requests, from 0 to 1, that meet each fault; the rest is served well.

    ``busy`` answers 503 or 429 in turn, ``fail`` answers 500, both before anything is shipped. ``hang`` ships and
    answers after ``hang_seconds``, ``cut`` ships and cuts the connection: the orders that nobody is told about.
    ``delay`` is seconds before each answer, ``refuse`` the articles refused with 422, ``forgetful`` a vendor that
    does not look at idempotency keys.
    """

    busy: float = 0.0
    fail: float = 0.0
    hang: float = 0.0
    cut: float = 0.0
    hang_seconds: float = 30.0
    delay: float = 0.0
    refuse: tuple[str, ...] = (DISCONTINUED,)
    forgetful: bool = False

    def __post_init__(self) -> None:
        shares = [self.busy, self.fail, self.hang, self.cut]
        if not all(_is_number(share) and 0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError("busy, fail, hang and cut are shares from 0 to 1, together at most 1")
        if not all(_is_number(span) and 0 <= span <= 600 for span in (self.delay, self.hang_seconds)):
            raise ValueError("delay and hang_seconds are seconds from 0 to 600")
        if not all(isinstance(sku, str) for sku in self.refuse) or not isinstance(self.forgetful, bool):
            raise ValueError("refuse is a list of articles, forgetful is true or false")

    def changed(self, changes: Mapping[str, Any]) -> "Modes":
        """Return these modes with some of them changed; ``ValueError`` or ``TypeError`` says what is wrong."""
        unknown = sorted(set(changes) - {field.name for field in fields(self)})
        if unknown:
            raise ValueError(f"unknown modes: {', '.join(unknown)}")
        refuse = changes.get("refuse", self.refuse)
        if not isinstance(refuse, list | tuple):
            raise TypeError("refuse is a list of articles")
        return replace(self, **{**changes, "refuse": tuple(refuse)})

    def as_json(self) -> dict[str, Any]:
        """Return the modes in the words of ``POST /control``."""
        return asdict(self)


class InjectedFault(Enum):
    """What is injected into one request."""

    NONE = "none"
    BUSY = "busy"
    FAIL = "fail"
    HANG = "hang"
    CUT = "cut"


class FaultInjector:
    """Decides each request's fault by a seeded source of chance that threads may share."""

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)  # noqa: S311  # faults to practise on, no secrets
        self._lock = threading.Lock()

    def next_fault(self, modes: Modes) -> InjectedFault:
        """Return what happens to the next request."""
        with self._lock:
            number = self._random.random()
        for fault in (InjectedFault.BUSY, InjectedFault.FAIL, InjectedFault.HANG, InjectedFault.CUT):
            share = float(getattr(modes, fault.value))
            if number < share:
                return fault
            number -= share
        return InjectedFault.NONE


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
