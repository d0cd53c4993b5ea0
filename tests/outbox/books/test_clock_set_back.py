"""The database's clock is set back by hours: a book is read again at once, from where the new clock is."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from outbox.books import keeping
from outbox.books.horizon import Horizon
from outbox.books.keeping import HELD, read_book
from outbox.books.running import go_on
from outbox.maintenance.set_back import mend_if_set_back
from outbox.models import BookState, BookWindow, Heartbeat
from tests.harness import clock
from tests.harness.ledger import deliver, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
BACK = 3 * HOUR


def set_clock_back():
    """Have all that the books know lie three hours further ahead, and look."""
    clock.set_back(-BACK, BookState, Heartbeat)
    BookState.objects.update(began_at=F("began_at") - BACK)
    BookWindow.objects.update(read_at=F("read_at") + BACK)
    mend_if_set_back()


def read_when_due(book):
    """Let the time pass after which the book is read again, and have the chore read it."""
    BookState.objects.update(ran_at=F("ran_at") - book.every)
    go_on()


def test_a_row_of_an_hour_that_comes_once_more_is_found(sales, standing):
    read_book(sales)
    [row] = sell(age=14 * MINUTE)
    set_clock_back()

    read_when_due(sales)

    assert standing() == [("no_message", str(row.pk), "")]


def test_a_change_in_an_hour_that_comes_once_more_is_found(declare, standing):
    book = declare(changed="changed_at")
    [row] = sell()
    deliver([row], ["test.till"])
    read_book(book)
    Sale.objects.update(status="new", changed_at=timezone.now() - 14 * MINUTE)
    set_clock_back()

    read_when_due(book)

    assert standing() == [("not_done", str(row.pk), "test.till")]


def test_a_round_that_was_begun_by_the_old_clock_begins_anew(sales, standing):
    [row] = sell()
    read_book(sales)
    began = timezone.now() - MINUTE
    BookState.objects.update(round_at=began, round_settled=began, ran_at=None)
    deliver([row])
    set_clock_back()

    go_on()

    state = BookState.objects.get(pk="sales")
    assert (standing(), state.round_at, state.changed_at < timezone.now()) == ([], None, True)


def test_nothing_lies_ahead_and_what_others_hold_is_theirs_for_a_while(sales):
    sell()
    read_book(sales)
    now = timezone.now()
    BookState.objects.update(reread_at=now, swept_at=now, changed_at=now, undeclared_since=now, held_until=now + HELD)
    set_clock_back()

    state, now = BookState.objects.get(pk="sales"), timezone.now()

    ahead = [state.ran_at, state.read_until, state.changed_at, state.swept_at, state.reread_at, state.undeclared_since]
    assert [at for at in ahead if at > now] == []
    assert now < state.held_until <= now + HELD
    assert not BookWindow.objects.filter(read_at__gt=now).exists()


def test_a_reading_that_began_before_the_clock_was_set_back_leaves_nothing_ahead(sales, monkeypatch):
    sell()
    ahead = timezone.now() + BACK
    monkeypatch.setattr(keeping, "look", lambda: Horizon(ahead, ahead))

    read_book(sales)

    state, now = BookState.objects.get(), timezone.now()
    assert [at for at in (state.read_until, state.changed_at, state.swept_at, state.reread_at) if at > now] == []
