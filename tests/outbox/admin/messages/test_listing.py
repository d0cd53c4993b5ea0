"""The queue's pages: right at any depth, and never more of an index than is allowed."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox.admin.messages import listing
from outbox.admin.messages.tabs import EVERYTHING, TABS, Scope, Tab, find_tab
from outbox.models import Message
from tests.harness.desk import ISSUE, ORDER, wins

pytestmark = pytest.mark.django_db


@pytest.fixture
def short_pages(monkeypatch) -> None:
    monkeypatch.setattr(listing, "ROWS_PER_PAGE", 3)
    monkeypatch.setattr(listing, "ROWS_READ", 7)


def keys(page: listing.Page) -> list[str]:
    return [message.key for message in page.rows]


def walk(tab: Tab, scope: Scope = EVERYTHING) -> list[str]:
    """Return the keys of all pages, from the first to the last, and make sure that the way back is the same."""
    page = listing.read_page(tab, scope)
    seen = keys(page)
    while page.older:
        page = listing.read_page(tab, scope, after=page.older)
        seen += keys(page)
    return seen


@pytest.mark.parametrize(
    ("slug", "make"),
    [
        ("failed", wins.failed),
        ("pending", wins.pending),
        ("started", wins.started),
        ("success", wins.success),
        ("handled", wins.handled),
        ("discarded", wins.discarded),
    ],
)
def test_each_tab_shows_every_message_of_its_kind_once_and_no_other(slug: str, make, short_pages: None) -> None:
    makers = [
        wins.failed,
        wins.pending,
        wins.started,
        wins.success,
        wins.handled,
        wins.discarded,
    ]
    for n in range(4):
        for maker in makers:
            for consumer in (ISSUE, ORDER):
                maker(f"{maker.__name__} {n}", consumer=consumer)

    both = walk(find_tab(slug))
    one = walk(find_tab(slug), Scope(ORDER))

    assert sorted(both) == sorted([f"{make.__name__} {n}" for n in range(4)] * 2)
    assert sorted(one) == [f"{make.__name__} {n}" for n in range(4)]
    assert walk(find_tab(slug, turned=True)) == both[::-1]


def test_the_newest_failed_comes_first_and_the_way_back_shows_the_same_pages(short_pages: None) -> None:
    for n in range(8):
        wins.failed(str(n))
    tab = find_tab("failed")

    first = listing.read_page(tab)
    second = listing.read_page(tab, after=first.older)
    third = listing.read_page(tab, after=second.older)
    back = listing.read_page(tab, before=third.newer)
    start = listing.read_page(tab, before=back.newer)

    assert [keys(page) for page in (first, second, third)] == [["7", "6", "5"], ["4", "3", "2"], ["1", "0"]]
    assert (keys(back), keys(start)) == (keys(second), keys(first))
    assert (first.newer, start.newer, third.older) == ("", "", "")


def test_pending_messages_of_all_consumers_are_merged_by_the_time_they_are_due(short_pages: None) -> None:
    began = timezone.now()
    for n in range(8):
        due = began + timedelta(seconds=0 if n == 5 else n)
        wins.pending(str(n), consumer=f"desk.{n % 3}", due_at=due)

    shown = walk(find_tab("pending"))

    assert shown == ["0", "5", "1", "2", "3", "4", "6", "7"]


def test_many_messages_due_at_the_same_moment_are_all_shown(short_pages: None) -> None:
    for n in range(8):
        wins.pending(str(n))
    Message.objects.update(due_at=Message.objects.first().due_at)

    assert walk(find_tab("pending")) == [str(n) for n in range(8)]


def test_what_is_rare_is_looked_for_piece_by_piece(short_pages: None) -> None:
    wins.success("rare", consumer=ORDER)
    for n in range(9):
        wins.success(str(n))
    tab = find_tab("success")

    first = listing.read_page(tab, Scope(ORDER))
    second = listing.read_page(tab, Scope(ORDER), after=first.older)

    assert (keys(first), first.cut_short) == ([], True)
    assert (keys(second), second.cut_short, second.older) == (["rare"], False, "")


def test_on_the_way_back_it_is_said_as_well_and_on_which_side_it_goes_on(short_pages: None) -> None:
    made = [wins.success(str(n)) for n in range(9)]
    wins.success("rare", consumer=ORDER)
    tab = find_tab("success")
    oldest = made[0]

    first = listing.read_page(tab, Scope(ORDER), before=f"{oldest.finished_at.isoformat()}_{oldest.pk}")
    second = listing.read_page(tab, Scope(ORDER), before=first.newer)

    assert (keys(first), first.cut_short, first.backwards) == ([], True, True)
    assert (keys(second), second.backwards) == (["rare"], False)


def test_with_several_consumers_looking_ends_at_the_nearest_limit(short_pages: None) -> None:
    near = [wins.started(f"near {n}") for n in range(9)]
    later = near[-1].due_at + timedelta(seconds=1)
    far = [wins.started(f"far {n}", consumer=ORDER, due_at=later) for n in range(9)]
    limit = listing.ROWS_READ

    page = listing.read_page(find_tab("pending"))

    assert (keys(page), page.cut_short) == ([], True)
    assert page.older.endswith(f"_{near[limit].pk}")
    assert near[limit].due_at < far[0].due_at


@pytest.mark.parametrize(
    "cursor", ["", "x", "1_2", "-1", "9" * 30, "9" * 5000, "2026-01-01_5", "2026-13-45T00:00:00_5", "٣"]
)
@pytest.mark.parametrize("slug", ["failed", "pending"])
def test_a_cursor_that_makes_no_sense_shows_the_first_page(cursor: str, slug: str) -> None:
    wins.failed("a")
    wins.pending("b")
    tab = find_tab(slug)

    assert keys(listing.read_page(tab, after=cursor)) == keys(listing.read_page(tab))
    assert keys(listing.read_page(tab, before=cursor)) == keys(listing.read_page(tab))


def test_search_finds_the_exact_business_id_in_any_status_and_a_message_by_its_own() -> None:
    wins.failed("17")
    wins.success("17", consumer=ORDER)
    other = wins.pending("170")

    assert sorted(keys(listing.search_messages("17"))) == ["17", "17"]
    assert keys(listing.search_messages(str(other.pk))) == ["170"]
    assert (
        keys(listing.search_messages("1x"))
        == keys(listing.search_messages("9" * 40))
        == keys(listing.search_messages("'"))
        == []
    )


def test_the_next_failed_message_is_the_one_below_and_then_the_topmost() -> None:
    low, middle, high = (wins.failed(key) for key in "abc")

    assert listing.next_failed(high.pk) == middle.pk
    assert listing.next_failed(low.pk) == high.pk
    assert listing.next_failed(low.pk, Scope(ORDER)) is None


def test_from_its_other_end_the_next_failed_message_is_the_one_above_and_then_the_lowest() -> None:
    low, middle, high = (wins.failed(key) for key in "abc")

    assert listing.next_failed(low.pk, turned=True) == middle.pk
    assert listing.next_failed(high.pk, turned=True) == low.pk


@pytest.mark.services
@pytest.mark.parametrize("scope", [Scope(), Scope(ORDER), Scope(ORDER, ("f" * 64,))], ids=str)
@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.slug)
def test_an_index_answers_every_tab(tab: Tab, scope: Scope) -> None:
    """A sequential scan or a sort that appears although it is forbidden has no index to take its place."""
    wins.failed("a")
    wins.pending("b")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")

    with CaptureQueriesContext(connection) as queries:
        page = listing.read_page(tab, scope)
        listing.read_page(tab, scope, after=page.older or "1")

    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan on outbox_message" not in plan, query["sql"]
        assert "Sort  (" not in plan.replace("Incremental Sort  (", ""), query["sql"]


def test_a_group_of_failures_is_shown_whole_and_alone(short_pages: None) -> None:
    for n in range(4):
        wins.failed(f"ours {n}", failure="a" * 64)
        wins.failed(f"other {n}", failure="b" * 64)
        wins.failed(f"elsewhere {n}", consumer=ORDER, failure="a" * 64)
    scope, tab = Scope(ISSUE, ("a" * 64,)), find_tab("failed")

    shown = walk(tab, scope)
    newest = Message.objects.get(key="ours 3")

    assert shown == ["ours 3", "ours 2", "ours 1", "ours 0"]
    assert listing.next_failed(newest.pk, scope) == Message.objects.get(key="ours 2").pk
