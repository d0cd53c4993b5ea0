"""The books at the desk: what does not balance, with links and what to do; a day is closed by those who may."""

from datetime import timedelta

import pytest
from django.urls import reverse

from outbox import book
from outbox.books import days
from outbox.books.declaring import forget_book
from outbox.books.keeping import read_book
from outbox.models import AuditEntry, BookDay, BookDifference, BookState
from tests.harness.desk import text_of, user
from tests.harness.ledger import SaleBook, deliver, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/outbox/bookstate/"
PAGE = f"{LIST}sales/change/"
GIVEN = {"act": "close_day", "reason": "the day is over"}


@pytest.fixture
def sales():
    yield book("sales")(type("DeskBook", (SaleBook,), {"__module__": __name__}))()
    forget_book("sales")


@pytest.fixture
def lead(client):
    person = user("lead", "view_bookstate", "view_message", "close_bookday", "explain_difference")
    client.force_login(person)
    return person


@pytest.fixture
def day():
    return days.today() - timedelta(days=2)


def page_of_day(day):
    return f"{LIST}sales/day/{day:%Y-%m-%d}/"


def rows_of(day, many=2):
    rows = sell(many)
    Sale.objects.update(sold_at=days.bounds_of(day)[0] + timedelta(hours=12))
    return rows


def test_without_a_book_the_page_says_how_to_declare_one(client, lead):
    BookState.objects.all().delete()

    assert "There is no book yet" in text_of(client.get(LIST))


def test_the_list_says_of_each_book_how_it_stands(client, lead, sales):
    read_book(sales)
    assert "balances" in text_of(client.get(LIST))

    sell()
    read_book(sales, since=BookState.objects.get(pk="sales").began_at)

    assert "does not balance" in text_of(client.get(LIST))


def test_a_book_lists_what_does_not_balance_with_links_and_what_to_do(client, lead, sales):
    [row] = sell()
    message, *_ = deliver([row], ["test.till"])
    Sale.objects.update(status="new")
    read_book(sales)

    answer = client.get(PAGE)

    assert "message succeeded, business not done" in text_of(answer)
    assert "Bring the row up to date" in text_of(answer)
    assert reverse("admin:outbox_message_change", args=[message.pk]) in answer.content.decode()


def test_where_everything_balances_the_book_says_so(client, lead, sales):
    read_book(sales)

    assert "Everything balances" in text_of(client.get(PAGE))


def test_a_day_is_closed_with_a_reason_and_compared_afterwards(client, lead, sales, day):
    deliver(rows_of(day))
    read_book(sales)

    client.post(page_of_day(day), GIVEN)

    assert BookDay.objects.get().closed_by == "lead"
    assert AuditEntry.objects.get(action="close_day").reason == "the day is over"
    assert "Nothing has changed" in text_of(client.get(page_of_day(day), {"verify": "1"}))
    Sale.objects.update(amount=9)
    assert "Business rows have changed" in text_of(client.get(page_of_day(day), {"verify": "1"}))
    assert f"{day:%Y-%m-%d}" in text_of(client.get(PAGE))


def test_a_day_that_does_not_balance_is_refused_in_words(client, lead, sales, day):
    rows_of(day)
    read_book(sales)

    answer = client.post(page_of_day(day), GIVEN)

    assert "does not balance" in text_of(answer)
    assert not BookDay.objects.exists()


def test_who_may_only_look_is_offered_nothing_and_closes_nothing(client, sales, day):
    client.force_login(user("eve", "view_bookstate"))
    deliver(rows_of(day))
    read_book(sales)

    assert "takes the permission" in text_of(client.get(page_of_day(day)))
    client.post(page_of_day(day), GIVEN)

    assert not BookDay.objects.exists()
    assert AuditEntry.objects.get().action == "denied"


def test_who_may_not_look_sees_nothing(client, sales, day):
    client.force_login(user("bob"))
    read_book(sales)

    for page in (LIST, PAGE, page_of_day(day)):
        assert client.get(page).status_code == 403


def test_a_difference_is_explained_and_counts_no_more(client, lead, sales):
    sell()
    read_book(sales)
    difference = BookDifference.objects.get()
    page = f"{LIST}sales/difference/{difference.pk}/"
    assert "What to do" in text_of(client.get(page))

    client.post(page, {"act": "explain", "reason": "a test sale"})

    assert "Everything balances" in text_of(client.get(PAGE))
    assert BookDifference.objects.get().explained_by == "lead"
    assert "a test sale" in text_of(client.get(page))


@pytest.mark.parametrize("address", ["sales/day/2026-02-31/", "sales/day/soon/", "none/day/2026-01-01/"])
def test_a_day_that_is_none_is_not_found(client, lead, sales, address):
    read_book(sales)

    assert client.get(LIST + address).status_code == 404


def test_a_book_that_is_gone_leads_back_to_the_list(client, lead):
    assert client.get(PAGE).url == LIST
