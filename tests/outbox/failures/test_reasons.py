"""Whether the other side may have acted is told by what was raised, never by its text."""

import http.client
import socket
from collections.abc import Callable
from urllib.error import URLError

import httpx
import pytest

from outbox.failures.reasons import may_have_acted, said_to_have_acted


class Answered(Exception):
    def __init__(self, status: int) -> None:
        self.response = httpx.Response(status)


class Says(Exception):
    def __init__(self, acted: object) -> None:
        self.may_have_acted = acted


class Moody(Exception):
    @property
    def may_have_acted(self) -> bool:
        raise RuntimeError("ask later")


class ReadTimeoutError(Exception):
    """As urllib3 names it."""


class NewConnectionError(Exception):
    """As urllib3 names it."""


class ReadTimeout(OSError):
    """As requests names it."""


class WrapperConnectionError(Exception):
    """As requests and redis name theirs."""


def from_(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def while_(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        BrokenPipeError(),
        ConnectionError("aborted, or not"),
        httpx.ReadTimeout("slow"),
        httpx.WriteError("half of it went out"),
        httpx.RemoteProtocolError("gone"),
        http.client.RemoteDisconnected(),
        http.client.IncompleteRead(b""),
        Answered(500),
        Answered(503),
        Says(True),
        from_(ValueError("no order"), httpx.ReadTimeout("slow")),
        while_(ValueError("no order"), TimeoutError()),
        from_(ValueError("order"), ReadTimeoutError()),
    ],
    ids=repr,
)
def test_what_was_cut_off_may_have_acted(error: BaseException) -> None:
    assert may_have_acted(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("it timed out, connection reset by peer, deadline"),
        ConnectionRefusedError(),
        socket.gaierror(),
        httpx.ConnectError("no route"),
        httpx.ConnectTimeout("no answer to SYN"),
        httpx.PoolTimeout("all busy"),
        Answered(404),
        Says(False),
        from_(Says(False), TimeoutError()),
        from_(ConnectionError("max retries"), NewConnectionError()),
        from_(Says("perhaps"), KeyError("sku")),
        Moody(),
    ],
    ids=repr,
)
def test_what_was_never_sent_or_was_answered_has_not_acted(error: BaseException) -> None:
    assert not may_have_acted(error)


def test_errors_that_were_raised_from_each_other_end_the_search() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first

    assert not may_have_acted(first)


@pytest.mark.parametrize(
    "first", [httpx.ConnectError("refused"), ConnectionRefusedError(), Answered(404), Says(False)], ids=repr
)
def test_what_another_call_says_that_was_being_handled_proves_nothing_of_the_second(first: BaseException) -> None:
    assert said_to_have_acted(while_(ValueError("the second supplier's gateway"), first)) is None
    assert said_to_have_acted(while_(ConnectionError("aborted, or not"), first)) is None
    assert may_have_acted(while_(ConnectionError("aborted, or not"), first))


@pytest.mark.parametrize("second", [httpx.ConnectError("refused"), Answered(404)], ids=repr)
def test_a_first_call_that_was_cut_off_counts_although_the_second_was_never_made(second: BaseException) -> None:
    assert said_to_have_acted(while_(second, httpx.ReadTimeout("slow"))) is True
    assert said_to_have_acted(while_(second, ReadTimeout("slow"))) is True


@pytest.mark.parametrize(
    "error",
    [
        while_(WrapperConnectionError("max retries"), NewConnectionError()),
        while_(URLError("refused"), ConnectionRefusedError()),
        from_(ValueError("no order"), while_(WrapperConnectionError(), NewConnectionError())),
        from_(httpx.ConnectTimeout("no answer to SYN"), TimeoutError()),
        while_(httpx.ConnectTimeout("no answer to SYN"), TimeoutError()),
    ],
    ids=repr,
)
def test_a_library_that_wraps_what_was_never_sent_is_believed(error: BaseException) -> None:
    assert said_to_have_acted(error) is False


@pytest.mark.parametrize("hide", [True, False])
def test_a_context_that_was_suppressed_does_not_count(hide: bool) -> None:
    def raised(act: Callable[[], None]) -> BaseException:
        try:
            act()
        except Exception as error:
            return error
        raise AssertionError("nothing was raised")

    def act() -> None:
        try:
            raise TimeoutError
        except TimeoutError:
            if hide:
                raise ValueError("answered from a cache") from None
            raise ValueError("while that")  # noqa: B904  # the context is meant

    assert may_have_acted(raised(act)) is not hide
