"""Failures that are alike are one group: what makes them so."""

from types import SimpleNamespace
from typing import Any

import pytest

from outbox import Reject
from outbox.failures.fingerprint import VERSION, fingerprint, without_error
from outbox.policy import Reason
from tests.outbox.failures.raising import Jammed, raised

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


class Answered(Exception):
    """What an HTTP client raises for an answer."""

    def __init__(self, status: int) -> None:
        super().__init__("the other side said no")
        self.response = SimpleNamespace(status_code=status)


def raised_elsewhere(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def coded(error: Exception, code: object) -> Exception:
    error.failure_code = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("award 17 has no code", "award 18 has no code"),
        ("key 6d6fb0a5-5ad2-4c38-9d0b-2f0a4c8f4f5e taken", "key 0d6fb0a5-5ad2-4c38-9d0b-2f0a4c8f4f5e taken"),
        ("no mailbox anna@example.com", "no mailbox berta@example.org"),
        ("GET https://vendor/orders/1 failed", "GET https://vendor/orders/2?x=y failed"),
        ("due 2026-01-31T12:00:00Z", "due 2026-02-01T13:30:00+01:00"),
        ("article 'mug' is gone", "article 'hat' is gone"),
        ("Key (key)=(a) exists", "Key (key)=(b, c) exists"),
        ("at 0x7f1200", "at 0x7f1300"),
        ("two  lines\nhere", "two lines here"),
    ],
)
def test_what_differs_from_case_to_case_does_not_make_another_group(one, other):
    assert fingerprint("shop.book", raised(Jammed(one))) == fingerprint("shop.book", raised(Jammed(other)))


def test_consumer_exception_text_and_place_each_make_another_group():
    failures = [
        fingerprint("shop.book", raised(Jammed("jammed"))),
        fingerprint("shop.other", raised(Jammed("jammed"))),
        fingerprint("shop.book", raised(ValueError("jammed"))),
        fingerprint("shop.book", raised(Jammed("torn"))),
        fingerprint("shop.book", raised_elsewhere(Jammed("jammed"))),
    ]

    assert len({failure.digest for failure in failures}) == 5
    assert failures[0].place == "failures/raising.py:raised"
    assert (failures[0].title, failures[2].exception) == ("jammed", "ValueError")


def test_what_the_other_side_answered_stands_for_the_place():
    gone, expired = fingerprint("shop.book", raised(Answered(404))), fingerprint("shop.book", raised(Answered(401)))
    elsewhere = fingerprint("shop.book", raised_elsewhere(Answered(404)))
    own = fingerprint("shop.book", raised(coded(Jammed("no"), "E17")))

    assert gone.digest != expired.digest
    assert gone == elsewhere
    assert (gone.place, expired.place, own.place) == ("404", "401", "E17")


def test_a_rejection_is_of_the_group_that_its_cause_says():
    refused = [raised(Reject("refused"), cause=coded(Jammed("no"), status)) for status in (400, 403, 403)]

    digests = [fingerprint("shop.book", error).digest for error in refused]

    assert digests[0] != digests[1] == digests[2]


def test_an_exception_that_cannot_be_read_has_a_group_all_the_same():
    class Broken(Exception):
        @property
        def failure_code(self) -> str:
            raise RuntimeError("no")

        def __str__(self) -> str:
            raise RuntimeError("no")

    failure = fingerprint("shop.book", raised(Broken()))

    assert failure.title == "(its text cannot be read)"
    assert failure.place == "failures/raising.py:raised"


def test_the_version_is_part_of_a_group(monkeypatch):
    before = fingerprint("shop.book", raised(Jammed("jammed"))), without_error("shop.book", Reason.EXPIRED)
    monkeypatch.setattr("outbox.failures.fingerprint.VERSION", VERSION + 1)

    after = fingerprint("shop.book", raised(Jammed("jammed"))), without_error("shop.book", Reason.EXPIRED)

    assert not {failure.digest for failure in before} & {failure.digest for failure in after}


def test_a_frame_of_a_compiled_driver_is_no_place_of_the_host_s():
    code = compile("def wait(error): raise error", "psycopg_binary/_psycopg/waiting.pyx", "exec")
    driver: dict[str, Any] = {}
    exec(code, driver)

    def fails() -> BaseException:
        try:
            driver["wait"](ValueError("taken"))
        except ValueError as error:
            return error
        raise AssertionError

    assert fingerprint("shop.book", fails()).place.endswith("fails")
