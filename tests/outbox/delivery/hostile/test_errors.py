"""Handlers that raise what an engine may not reckon with."""

import asyncio

import pytest
from django.db import OperationalError

from outbox.delivery.database_errors import DatabaseDown
from outbox.errors import Reject, Superseded, TransactionEnded
from tests.outbox.delivery.hostile.oracle import Case, pairs

pytestmark = pytest.mark.services


class Foreign(BaseException):
    """What an extension may derive its errors from."""


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words for it")

    __repr__ = __str__


class Liar(Exception):
    __class__ = Reject


class Unequal(Exception):
    __hash__ = None

    def __eq__(self, _other):
        raise RuntimeError("not to be compared")


class Longwinded(Exception):
    __module__ = None


Longwinded.__name__ = "N" * 10_000


def raises(error):
    def act(_message):
        raise error

    return act


def goes_in_circles(_message):
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def many_at_once(_message):
    raise ExceptionGroup("many", [ValueError(number) for number in range(2_000)])


CASES = [
    Case("exception", "CancelledError", raises(asyncio.CancelledError()), reason="no_tries_left"),
    Case("exception", "BaseException of an extension", raises(Foreign()), reason="no_tries_left"),
    Case("exception", "no text", raises(Unspeakable()), reason="no_tries_left"),
    Case("exception", "a text of ten million letters", raises(ValueError("x" * 10**7)), reason="no_tries_left"),
    Case("exception", "NUL and half a letter", raises(ValueError("\0 \ud800")), reason="no_tries_left"),
    Case("exception", "no Reject, but says so", raises(Liar())),
    Case("exception", "not to be compared", raises(Unequal()), reason="no_tries_left"),
    Case("exception", "causes in a circle", goes_in_circles, reason="no_tries_left"),
    Case("exception", "two thousand at once", many_at_once, reason="no_tries_left"),
    Case("exception", "a made-up database error", raises(OperationalError("made up")), reason="no_tries_left"),
    Case("exception", "the engine's Superseded", raises(Superseded("made up"))),
    Case("exception", "the engine's TransactionEnded", raises(TransactionEnded("made up"))),
    Case("exception", "the engine's DatabaseDown", raises(DatabaseDown("made up"))),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_raises_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
