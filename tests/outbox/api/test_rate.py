"""How often a token may call: so often in a minute, whichever process is asked."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from outbox.conf import conf
from outbox.models import ApiToken, AuditEntry
from tests.harness.api import Program, member_of, program_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def five_a_minute(settings) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "API_RATE": 5}


def test_above_its_rate_a_token_is_told_how_long_to_wait(night: Program) -> None:
    answers = [night.get("operations") for _call in range(7)]

    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].code == "too_many_calls"
    assert 11 <= int(answers[-1].headers["Retry-After"]) <= 12
    assert AuditEntry.objects.filter(action="api_refused").count() == 1


def test_after_the_wait_it_may_go_on(night: Program) -> None:
    for _call in range(6):
        night.get("operations")

    ApiToken.objects.update(full_at=F("full_at") - timedelta(seconds=12))

    assert [night.get("operations").status for _call in range(2)] == [200, 429]


def test_after_a_long_rest_it_has_no_more_than_a_minute_s_calls(night: Program) -> None:
    night.get("operations")
    ApiToken.objects.update(full_at=F("full_at") - timedelta(days=1))

    assert [night.get("operations").status for _call in range(6)] == [200] * 5 + [429]


def test_each_token_has_calls_of_its_own(night: Program) -> None:
    other = program_of(member_of("Outbox viewer"))
    for _call in range(6):
        night.get("operations")

    assert other.get("operations").status == 200


def test_calls_at_the_same_moment_are_counted_one_by_one(night: Program) -> None:
    def take_turn(_number: int) -> bool:
        try:
            return ApiToken.objects.take_turn(night.token, calls=conf().api_rate)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take_turn, range(20)))

    assert sum(taken) == 5
