"""A flash sale in whose middle Redis, workers and the web server are killed: no piece is sold twice, and none is lost.

``make trials TRIALS_ARGS=sale`` is the long form.
"""

import os
import random

import pytest

from tests.harness.redis_server import installed_here, redis_server
from tests.harness.sales import ENVIRONMENT, KINDS, kinds_in_turn, sell

pytestmark = [pytest.mark.processes, pytest.mark.services]

SEED = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
FAULTS = len(KINDS)


@pytest.fixture(scope="module")
def sold(install, tmp_path_factory):
    """Sell everything while faults happen at random points."""
    if not installed_here():
        pytest.skip("there is no redis-server here")
    print(f"FAULT_SEED={SEED}")
    folder = tmp_path_factory.mktemp("redis")
    with (
        redis_server(folder, "--save", "", "--appendonly", "no") as redis,
        install(extra={"REDIS_URL": redis.url, **ENVIRONMENT}) as installation,
    ):
        installation.control()
        installation.beat()
        yield sell(installation, redis, kinds_in_turn(FAULTS), faults=FAULTS, rng=random.Random(SEED))


def test_the_faults_happened_while_people_bought(sold):
    assert sum(sold.faults.values()) == FAULTS
    assert sold.served_between == sorted(sold.served_between)
    assert sold.served_between[-1] <= sold.pieces
    assert sold.shoppers.repeated > 0
    forgot = sold.faults["redis killed"] + sold.faults["redis flushed"]
    assert sold.epochs > forgot, "it was prewarmed as often as Redis forgot"


def test_each_was_answered_once_and_whoever_was_told_of_a_win_has_it(sold):
    told = sold.shoppers.told

    assert len(told) == sold.people
    assert sold.won == sold.awards
    assert {answer.get("code") for [answer] in told.values() if answer["status"] == 409} <= {"sold_out"}


def test_awards_and_what_is_left_are_what_there_was(sold):
    numbers = sold.piece_numbers

    assert len(numbers) + sold.left == sold.pieces
    assert len(numbers) == len(set(numbers))
    assert max(numbers) <= sold.pieces
    assert sold.left == 0, "those who came later heard sold out, so all were sold"


def test_what_was_taken_was_drawn_or_given_back(sold):
    halves = sold.halves

    assert halves["published"] == len(sold.awards)
    assert halves.get("taken_back", 0) == sold.given_back
    assert set(halves) <= {"published", "taken_back"}
    assert sold.unwritten == 0


def test_the_books_find_nothing(sold):
    assert sold.wrong_in_the_books() == ""
