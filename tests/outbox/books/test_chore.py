"""The chore reads each book as often as it says, and one that fails keeps no other from being read."""

from datetime import timedelta

import pytest
from django.db.models import F, Q
from django.db.models.functions import Now

from outbox.books.declaring import forget_book
from outbox.books.keeping import read_book
from outbox.books.running import go_on, go_on_if_overdue
from outbox.conf import conf
from outbox.maintenance.schedule import ENTRIES
from outbox.models import BookDifference, BookState, BookWindow, Heartbeat
from outbox.monitoring.finding import Level, What
from outbox.monitoring.health import health
from outbox.monitoring.metrics import exposition
from outbox.tasks import run_books
from tests.harness.ledger import deliver, sell

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


def of_books(name="sales"):
    """Return what health says of a book: level and subject."""
    return [
        (finding.level, finding.subject, finding.sentence)
        for finding in health().findings
        if finding.what is What.BOOKS and finding.subject.startswith(name)
    ]


def test_beat_calls_it_every_minute():
    [entry] = [entry for entry in ENTRIES if entry.task == run_books.name]

    assert entry.every_seconds == 60


def test_a_book_is_read_when_it_is_due_and_not_before(sales):
    run_books()
    first = BookState.objects.get(pk="sales").ran_at

    run_books()
    assert BookState.objects.get(pk="sales").ran_at == first

    BookState.objects.update(ran_at=F("ran_at") - sales.every)
    run_books()
    assert BookState.objects.get(pk="sales").ran_at != first


def test_a_worker_reads_them_if_nobody_else_does(sales):
    go_on()
    assert not go_on_if_overdue()

    Heartbeat.objects.filter(name="books").update(at=Now() - HOUR)
    assert go_on_if_overdue()


def test_a_book_that_cannot_be_read_is_told_of_and_the_others_are_read(declare):
    declare(done=Q(nothing=1))

    go_on()

    assert "nothing" in BookState.objects.get(pk="sales").error
    assert BookState.objects.get(pk="awards").ran_at is not None
    [(level, _subject, sentence)] = of_books()
    assert (level, "cannot be read" in sentence) == (Level.WARNING, True)


def test_a_book_that_is_in_no_code_any_more_is_forgotten_after_a_day(sales):
    sell()
    go_on()
    forget_book("sales")
    go_on()
    assert BookState.objects.filter(pk="sales").exists()

    BookState.objects.filter(pk="sales").update(undeclared_since=Now() - conf().gone_after - HOUR)
    go_on()

    assert not BookState.objects.filter(pk="sales").exists()
    assert not BookWindow.objects.filter(book="sales").exists()
    assert not BookDifference.objects.filter(book="sales").exists()


def test_health_and_metrics_tell_of_differences_by_kind(sales):
    deliver(sell())
    read_book(sales)
    assert [level for level, *_ in of_books()] == [Level.OK]

    sell(2)
    read_book(sales, since=BookState.objects.get(pk="sales").began_at)

    [(level, _subject, sentence)] = of_books()
    assert level is Level.CRITICAL
    assert "2 differences (business row without message: 2)" in sentence
    assert 'outbox_book_differences{book="sales",kind="no_message"} 2.0' in exposition().decode()


def test_a_book_that_nobody_reads_is_warned_of(sales):
    read_book(sales)
    BookState.objects.update(ran_at=Now() - HOUR)

    [(level, _subject, sentence)] = of_books()

    assert (level, "last read" in sentence) == (Level.WARNING, True)
