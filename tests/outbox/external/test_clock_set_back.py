"""The database's clock is set back by hours: a check is asked after as long a wait as was meant, and no longer."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox import prepare
from outbox.external.halves import asking, deciding
from outbox.maintenance.set_back import mend_if_set_back
from outbox.models import Half, HalfAnswer, Heartbeat
from tests.harness import clock

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
BACK = 3 * HOUR


@pytest.fixture(autouse=True)
def _ready(listen, checked):
    listen()
    checked(None)


def prepared(**options):
    """A half message whose producer was killed in its block."""
    with pytest.raises(TimeoutError), prepare("test.sold", key="1", payload={}, check="test.check", **options):
        raise TimeoutError
    Half.objects.update(check_at=F("prepared_at") + options.get("within", 10 * SECOND))


def set_clock_back():
    """Have all that is known of half messages lie three hours further ahead, and look."""
    Heartbeat.objects.record("test")
    clock.set_back(-BACK, Half, HalfAnswer, Heartbeat)
    mend_if_set_back()


def wait():
    """How long it is until the check is asked."""
    return Half.objects.annotate(wait=F("check_at") - Now()).get().wait


def ask():
    """Ask the check, which does not know yet."""
    Half.objects.update(check_at=Now())
    asking.ask_all(asking.claim(1))


def test_a_producer_has_the_time_that_it_was_given(checked):
    prepared(within=2 * HOUR)

    set_clock_back()

    assert 2 * HOUR - 5 * SECOND < wait() <= 2 * HOUR


def test_between_two_questions_is_the_wait_that_was_meant(checked):
    prepared()
    ask()
    ask()

    set_clock_back()

    assert 15 * SECOND < wait() < 25 * SECOND


def test_a_check_that_is_being_asked_has_the_time_to_answer(checked):
    checked(None, timeout=100 * SECOND)
    prepared()
    Half.objects.update(check_at=Now())
    asking.claim(1)

    set_clock_back()

    assert 95 * SECOND < wait() <= 100 * SECOND


def test_a_question_that_a_person_has_asked_for_is_asked_at_once(checked):
    prepared()
    ask()
    clock.set_back(4 * HOUR, Half, HalfAnswer)
    half = Half.objects.get()
    deciding.ask_again(half.pk, revision=half.revision, actor="ada")

    set_clock_back()

    assert wait() <= 0 * SECOND


def test_a_wait_that_was_written_long_ago_is_not_cut_short(checked):
    prepared(within=20 * HOUR)
    clock.set_back(4 * HOUR, Half)

    set_clock_back()

    assert 18 * HOUR < wait() <= 19 * HOUR
