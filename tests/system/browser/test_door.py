"""Nothing is under way at the server of the browser tests when the database is emptied after a test."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from wsgiref.util import setup_testing_defaults

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.harness.door import Door, Environ, StartResponse

WAIT = 10


def ask(door: Door) -> str:
    """Make a request and read its answer, as a server does."""
    said: list[str] = []
    environ: Environ = {}
    setup_testing_defaults(environ)
    answer = door(environ, lambda status, headers: said.append(status))
    try:
        b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    return said[0]


def test_the_end_of_a_test_waits_for_the_request_that_is_under_way() -> None:
    entered, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        entered.set()
        assert may_end.wait(WAIT)
        start_response("200 OK", [])
        ended.set()
        return [b"the end"]

    with ThreadPoolExecutor(1) as pool:
        with Door(slow) as door:
            request = pool.submit(ask, door)
            assert entered.wait(WAIT)
            assert not ended.is_set()
            threading.Timer(0.1, may_end.set).start()
        assert ended.is_set()
        assert request.result(WAIT) == "200 OK"


def test_a_request_after_the_end_is_turned_away() -> None:
    with Door(lambda environ, start_response: pytest.fail("it got in")) as door:
        pass

    assert ask(door) == "503 Service Unavailable"


def test_a_request_that_fails_has_ended_as_well() -> None:
    def broken(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise ValueError("broken")

    with Door(broken) as door, pytest.raises(ValueError, match="broken"):
        ask(door)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_server_of_the_browser_tests_has_such_a_door(live_server: LiveServer) -> None:
    assert isinstance(live_server.thread.httpd.get_app(), Door)
