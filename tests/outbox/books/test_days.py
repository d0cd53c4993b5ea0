"""Closing a day: its statement goes into the audit, and what is changed afterwards is noticed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from outbox import audit
from outbox.books import days
from outbox.books.days import bounds_of, close_day, state_day, verify_day
from outbox.books.explaining import explain
from outbox.books.keeping import read_book
from outbox.books.sealing import seal
from outbox.conf import conf
from outbox.errors import BookRefused, NotAllowed
from outbox.models import AuditEntry, BookDay, BookDifference, Message
from tests.harness.ledger import deliver, fail, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
BY = {"actor": "ada", "reason": "the day is over", "origin": "test"}


@pytest.fixture
def day():
    """The day before yesterday."""
    return days.today() - timedelta(days=2)


@pytest.fixture
def rows(day):
    """Five sales of that day, an hour apart, from nine in the morning on."""
    since = timezone.now() - (bounds_of(day)[0] + 9 * HOUR)
    return sell(5, age=since, apart=HOUR)


def test_a_closed_day_states_what_became_of_every_message(sales, rows, day):
    messages = deliver(rows)
    by_key = {(message.key, message.consumer): message.pk for message in messages}
    change = {
        (str(rows[0].pk), "test.till"): {"resolution": "handled"},
        (str(rows[1].pk), "test.till"): {"status": "failed", "resolution": "discarded"},
        (str(rows[2].pk), "test.till"): {"status": "failed", "resolution": "withdrawn"},
        (str(rows[3].pk), "test.till"): {"status": "failed", "resolution": "overdue"},
    }
    for which, changes in change.items():
        Message.objects.filter(pk=by_key[which]).update(**changes)
    Sale.objects.filter(pk=rows[1].pk).update(status="void")

    closed = close_day("sales", day, **BY)

    stated = state_day("sales", day)
    assert (stated.business, stated.done, stated.closed, stated.consumers, stated.due) == (5, 4, 1, 2, 10)
    assert (stated.success, stated.handled, stated.discarded, stated.withdrawn, stated.overdue) == (6, 1, 1, 1, 1)
    assert (stated.open, stated.missing, stated.balances) == (0, 0, True)
    entry = AuditEntry.objects.get(pk=closed.entry)
    assert (entry.action, entry.subject, entry.actor) == ("close_day", f"book sales {day:%Y-%m-%d}", "ada")
    assert entry.after["success"] == 6
    assert audit.verify_chain() is None


def test_what_is_open_may_stay_open_and_the_statement_says_so(declare, rows, day):
    declare(settled_by=["test.till"])
    messages = deliver(rows)
    fail(next(message for message in messages if message.consumer == "test.other"))

    close_day("sales", day, **BY)

    assert state_day("sales", day).open == 1


def test_a_day_verifies_until_one_of_its_rows_is_changed(sales, rows, day):
    deliver(rows)
    close_day("sales", day, **BY)
    assert verify_day("sales", day).holds

    Sale.objects.filter(pk=rows[2].pk).update(amount=999)
    seen = verify_day("sales", day)

    assert not seen.holds
    assert (seen.figures, seen.message_hours) == ({}, ())
    assert [timezone.localtime(hour).hour for hour in seen.business_hours] == [11]


@pytest.mark.parametrize(
    "changes",
    [{"payload": {"amount": 7}}, {"status": "failed", "resolution": "discarded"}, {"consumer": "test.forged"}],
)
def test_a_day_does_not_verify_once_a_message_of_it_was_changed(sales, rows, day, changes):
    messages = deliver(rows)
    close_day("sales", day, **BY)

    Message.objects.filter(pk=messages[0].pk).update(**changes)

    assert [timezone.localtime(hour).hour for hour in verify_day("sales", day).message_hours] == [9]


def test_a_row_that_is_added_to_a_closed_day_or_taken_out_of_it_is_noticed(sales, rows, day):
    deliver(rows)
    close_day("sales", day, **BY)
    Sale.objects.filter(pk=rows[4].pk).delete()

    assert verify_day("sales", day).figures["business"] == (5, 4)


def test_a_forged_entry_of_the_audit_does_not_verify(sales, rows, day):
    deliver(rows)
    closed = close_day("sales", day, **BY)
    real = AuditEntry.objects.get(pk=closed.entry)
    forged = AuditEntry(**{field.attname: getattr(real, field.attname) for field in real._meta.concrete_fields})
    forged.pk, forged.previous, forged.after = None, "x" * 64, {**real.after, "success": 11}
    forged.save(force_insert=True, using=conf().database)
    BookDay.objects.update(entry=forged.pk)

    assert not verify_day("sales", day).entry_fits


def test_seals_that_were_changed_with_the_rows_do_not_verify(sales, rows, day):
    deliver(rows)
    close_day("sales", day, **BY)
    Sale.objects.filter(pk=rows[2].pk).update(amount=999)
    begin, end = bounds_of(day)
    BookDay.objects.update(seals=seal(sales, begin, end))

    seen = verify_day("sales", day)

    assert (seen.business_hours, seen.entry_fits, seen.holds) == ((), False, False)


def test_a_day_that_does_not_balance_is_not_closed_until_it_is_mended_or_explained(sales, rows, day):
    deliver(rows[1:])

    with pytest.raises(BookRefused, match="does not balance"):
        close_day("sales", day, **BY)
    explain(BookDifference.objects.get().pk, actor="ada", reason="a test sale", origin="test")
    close_day("sales", day, **BY)

    assert AuditEntry.objects.filter(action="explain").get().reason == "a test sale"
    assert state_day("sales", day).missing == 1


def test_a_day_that_is_not_over_is_not_closed(sales):
    with pytest.raises(BookRefused, match="not over"):
        close_day("sales", days.today(), **BY)


def test_a_day_whose_messages_may_have_been_pruned_is_not_closed(sales):
    with pytest.raises(BookRefused, match="pruned"):
        close_day("sales", days.today() - timedelta(days=40), **BY)


def test_who_may_not_or_says_no_reason_closes_nothing(sales, rows, day, django_user_model):
    deliver(rows)
    bob = django_user_model.objects.create_user("bob")

    with pytest.raises(NotAllowed, match="close_bookday"):
        close_day("sales", day, actor=bob, reason="over", origin="test")
    with pytest.raises(NotAllowed, match="why"):
        close_day("sales", day, actor="ada", reason=" ", origin="test")

    assert not BookDay.objects.exists()


def test_the_vendor_s_book_is_the_third_column(declare, rows, day):
    asked = []

    def vendor(_book, begin, end):
        asked.append((begin, end))
        return 4

    declare(vendor=vendor)
    deliver(rows)

    closed = close_day("sales", day, **BY)

    assert asked == [bounds_of(day)]
    assert AuditEntry.objects.get(pk=closed.entry).after["vendor"] == 4
    assert verify_day("sales", day).holds


@pytest.mark.parametrize(
    ("answer", "said"), [("four", "no count"), (-1, "no count"), (OSError("away"), "OSError: away")]
)
def test_a_vendor_that_says_no_count_is_stated_as_such(declare, rows, day, answer, said):
    def vendor(_book, _begin, _end):
        if isinstance(answer, Exception):
            raise answer
        return answer

    declare(vendor=vendor)
    deliver(rows)

    stated = AuditEntry.objects.get(pk=close_day("sales", day, **BY).entry).after

    assert stated["vendor"] is None
    assert said in stated["vendor_error"]


def test_after_its_messages_were_pruned_the_business_rows_still_verify(sales, rows, day, configure):
    deliver(rows)
    close_day("sales", day, **BY)
    read_book(sales)
    configure(KEEP_FINISHED=timedelta(hours=12))
    Message.objects.all().delete()

    seen = verify_day("sales", day)
    assert (seen.holds, seen.messages_pruned) == (True, True)

    Sale.objects.filter(pk=rows[0].pk).update(amount=1)
    assert not verify_day("sales", day).holds
