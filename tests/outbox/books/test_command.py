"""``manage.py outbox_books`` says what does not balance, and ends with 1 if anything does not."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from outbox.books import days
from outbox.models import BookDay
from tests.harness.ledger import deliver, sell
from tests.shop.models import Sale

pytestmark = pytest.mark.django_db(transaction=True)


def run(*args):
    out, status = StringIO(), 0
    try:
        call_command("outbox_books", *args, stdout=out)
    except SystemExit as ended:
        status = ended.code
    return status, out.getvalue()


def test_where_everything_balances_it_ends_with_0(sales):
    deliver(sell(3))

    status, said = run("sales")

    assert status == 0
    assert said.startswith("sales: 0 differences")


def test_differences_are_listed_and_it_ends_with_1(sales):
    [row] = sell()

    status, said = run()

    assert status == 1
    assert f"business row without message: {row.pk}" in said


def test_as_json_it_has_ids_to_go_on_with(sales):
    [row] = sell()
    message, _other = deliver([row])
    Sale.objects.update(status="new")

    status, said = run("sales", "--json")

    [book] = json.loads(said)["books"]
    assert (status, book["book"], book["differences"]) == (1, "sales", 2)
    assert [(one["kind"], one["key"]) for one in book["listed"]] == [("not_done", str(row.pk))] * 2
    assert message.pk in [one["message_id"] for one in book["listed"]]


def test_a_span_shows_what_is_of_it_alone(sales):
    early, late = sell(2, apart=timedelta(hours=20))

    _status, said = run("sales", "--from", f"{late.sold_at - timedelta(hours=1):%Y-%m-%dT%H:%M:%S%z}")

    assert f"message: {late.pk}" in said
    assert f"message: {early.pk}" not in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing"], "there is no book nothing"),
        (["sales", "--from", "yesterday"], "neither a day"),
        (["sales", "--from", "2020-02-31"], "no date"),
        (["sales", "--from", "2020-01-01"], "pruned"),
        (["--close", "2026-01-01"], "name one book"),
        (["sales", "--verify", "soon"], "no day"),
        (["sales", "--verify", "2026-01-01"], "never closed"),
        (["sales", "--close", "2999-01-01", "--actor", "ada", "--reason", "over"], "not over"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(sales, args, said):
    with pytest.raises(CommandError, match=said):
        run(*args)


def test_a_day_is_closed_and_verified(sales):
    deliver(sell(3, age=timedelta(hours=50)))
    day = f"{days.today() - timedelta(days=2):%Y-%m-%d}"
    rows = Sale.objects.filter(sold_at__gte=days.bounds_of(days.today() - timedelta(days=2))[0])

    status, said = run("sales", "--close", day, "--actor", "ada", "--reason", "the day is over")
    assert (status, BookDay.objects.get().closed_by) == (0, "ada")
    assert "messages due" in said

    assert run("sales", "--verify", day)[0] == 0
    changed = rows.update(amount=5)
    status, said = run("sales", "--verify", day)
    assert status == (1 if changed else 0)
    assert json.loads(run("sales", "--verify", day, "--json")[1])["holds"] is not bool(changed)
