"""What a rehearsal came to, summed up: bounded, however many failure groups there are."""

from outbox.rehearsal.results import MOST_GROUPS, OTHERS, Outcome, Result, Summary


def failed(number: int, title: str) -> Result:
    return Result(number, Outcome.FAILED, f"ValueError: {title}", title=title)


def test_what_is_further_than_the_groups_told_apart_is_one_group_however_often_it_is_read_back() -> None:
    summary = Summary()
    for number in range(MOST_GROUPS + 30):
        summary.add(failed(number, f"till {number}"))
        if number % 10 == 9:
            summary = Summary.from_json(summary.as_json())

    [most, *rest] = summary.groups
    assert (most.title, most.count, len(most.ids)) == (OTHERS, 30, 5)
    assert [group.count for group in rest] == [1] * MOST_GROUPS
    assert summary.total == MOST_GROUPS + 30


def test_it_is_not_taken_for_what_has_no_title() -> None:
    summary = Summary.of(
        [Result(1, Outcome.BUSY), *(failed(number, f"till {number}") for number in range(MOST_GROUPS))]
    )

    summary.add(Result(2, Outcome.BUSY, title="a lock"))

    assert [(group.title, group.count) for group in summary.groups if group.outcome is Outcome.BUSY] == [
        ("", 1),
        (OTHERS, 1),
    ]
