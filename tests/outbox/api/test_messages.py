"""Messages by the API: the same lists, the same acts and the same refusals as at the desk."""

from typing import get_args

import pytest

from outbox.admin.messages import listing
from outbox.admin.messages.tabs import TABS
from outbox.admin.periods import PERIODS
from outbox.api.messages import Periods, Tabs
from outbox.models import AttemptOutcome, AuditEntry, Evidence, Message
from outbox.models.attempt import SAYS_ITSELF
from tests.harness.api import Program
from tests.harness.closings import told as told_messages
from tests.harness.desk import ISSUE, ORDER, failure_group, page_of, text_of, user, wins
from tests.harness.rows import attempt, proof

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the till is mended"


def told(message: Message, **more: object) -> dict[str, object]:
    return {"revision": message.revision, "reason": REASON, **more}


def test_the_api_has_the_views_and_spans_of_the_desk() -> None:
    assert list(get_args(Tabs)) == [tab.slug for tab in TABS]
    assert list(get_args(Periods)) == list(PERIODS)


def test_the_queue_opens_on_what_waits_for_a_person(night: Program) -> None:
    failed = wins.failed("1")
    wins.pending("2")

    answer = night.get("messages")

    [row] = answer.body["messages"]
    assert (row["id"], row["consumer"], row["status"], row["error"]) == (
        failed.pk,
        ISSUE,
        "failed",
        "ValueError: the till is jammed",
    )
    assert "payload" not in row
    assert (answer.body["next"], answer.body["cut_short"]) == (None, False)
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_list_is_walked_to_its_end_and_each_message_comes_once(night: Program, monkeypatch) -> None:
    monkeypatch.setattr(listing, "ROWS_PER_PAGE", 3)
    for tab, write in (("failed", wins.failed), ("pending", wins.pending), ("success", wins.success)):
        ids = {write(f"{tab} {n}").pk for n in range(7)}

        found, after, pages = [], "", 0
        while pages < 9:
            page = night.get("messages", tab=tab, **({"after": after} if after else {})).body
            found += [row["id"] for row in page["messages"]]
            pages, after = pages + 1, page["next"]
            if not after:
                break

        assert (sorted(found), pages) == (sorted(ids), 3)


def test_a_list_is_narrowed_down_as_at_the_desk(night: Program) -> None:
    group = failure_group("jam", stuck=2)
    other = wins.failed("other", consumer=ORDER)

    by_group = night.get("messages", consumer=ISSUE, failure=group.pk)
    assert night.get("messages", failure=group.pk).body == by_group.body
    by_consumer = night.get("messages", consumer=ORDER, within="1h")

    assert len(by_group.body["messages"]) == 2
    assert [row["id"] for row in by_consumer.body["messages"]] == [other.pk]
    assert night.get("messages", consumer="nobody").body["messages"] == []


def test_a_failure_group_that_is_not_there_or_not_of_the_list_is_told(night: Program) -> None:
    group = failure_group("jam", stuck=2)

    gone = night.get("messages", failure="gone")
    of_another_tab = night.get("messages", failure=group.pk, tab="success")
    of_another_consumer = night.get("messages", failure=group.pk, consumer=ORDER)

    assert (gone.status, gone.code) == (404, "not_found")
    for answer in (of_another_tab, of_another_consumer):
        assert (answer.status, answer.code) == (422, "invalid")
        assert answer.body["errors"][0]["where"] == "query.failure"


@pytest.mark.parametrize("cursor", ["x", "0_0", "2026-01-01T00:00:00+00:00_7", "9" * 90])
def test_a_cursor_of_another_list_is_told_and_not_taken_for_the_beginning(night: Program, cursor: str) -> None:
    wins.failed()

    assert night.get("messages", after=cursor).code == "not_found"


@pytest.mark.parametrize("query", [{"consumr": "x"}, {"tab": "nothing"}, {"within": "8h"}, {"consumer": "a\0b"}])
def test_a_filter_that_is_none_is_an_error_and_no_longer_list(night: Program, query: dict[str, str]) -> None:
    answer = night.get("messages", **query)

    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.body["errors"][0]["where"].startswith("query.")


def test_a_search_finds_by_key_id_and_evidence(night: Program) -> None:
    message = wins.failed("award 17")
    proof(message, "V-4711")

    for text in ("award 17", str(message.pk), "v-4711"):
        assert [row["id"] for row in night.get("search", text=text).body["messages"]] == [message.pk]


def test_a_message_has_its_attempts_and_what_an_act_must_know(night: Program) -> None:
    message = wins.failed(consumer=ORDER)
    attempt(message, 1)
    attempt(message, 2, AttemptOutcome.LOST)
    proof(message)

    shown = night.get(f"messages/{message.pk}").body

    assert [(each["number"], each["outcome"]) for each in shown["tried"]] == [(1, "failed"), (2, "lost")]
    assert (shown["may_have_acted"], shown["issued_by_hand"]) == (True, True)
    assert shown["idempotency_key"] == message.idempotency_key
    assert "payload" not in shown


def test_a_payload_is_shown_by_itself_and_each_look_is_noted(night: Program) -> None:
    message = wins.failed()

    answer = night.get(f"messages/{message.pk}/payload")

    assert answer.body == {"payload": wins.payload}
    [entry] = AuditEntry.objects.filter(message_id=message.pk)
    assert (entry.action, entry.actor) == ("reveal", "nora")
    assert entry.origin == f"API token “night job” {night.token.prefix}, 127.0.0.1"


def test_a_retry_is_in_the_audit_as_the_owner_s_by_the_token(night: Program, hints) -> None:
    message = wins.failed()

    answer = night.post(f"messages/{message.pk}/retry", told(message))

    assert (answer.status, answer.body["status"], answer.body["revision"]) == (200, "pending", 1)
    [entry] = AuditEntry.objects.filter(message_id=message.pk)
    assert (entry.action, entry.actor, entry.reason) == ("retry", "nora", REASON)
    assert entry.origin.startswith("API token “night job”")
    assert hints == [{ISSUE: [message.pk]}]


def test_the_message_s_page_says_that_a_program_did_it(night: Program, client) -> None:
    message = wins.failed()
    night.post(f"messages/{message.pk}/retry", told(message))
    client.force_login(user("viewer", "view_message"))

    said = text_of(client.get(page_of(message)))

    assert "nora retried the message" in said
    assert f"API token “night job” {night.token.prefix}" in said


def test_a_retry_that_is_repeated_is_a_conflict_and_acts_once(night: Program) -> None:
    message = wins.failed()

    answers = [night.post(f"messages/{message.pk}/retry", told(message)) for _call in range(2)]

    assert [answer.status for answer in answers] == [200, 409]
    assert answers[1].code == "conflict"
    assert "nora retried the message since you looked" in answers[1].body["detail"]
    assert AuditEntry.objects.filter(message_id=message.pk).count() == 1


@pytest.mark.parametrize("outcome", [AttemptOutcome.LOST, *SAYS_ITSELF])
def test_where_the_other_side_may_have_acted_it_must_have_been_asked(night: Program, outcome: str) -> None:
    message = wins.failed(consumer=ORDER)
    attempt(message, 1, outcome, may_have_acted=True)

    refused = night.post(f"messages/{message.pk}/retry", told(message))
    assert (refused.status, refused.code) == (409, "not_allowed")
    assert "asked_other_side" in refused.body["detail"]
    assert night.post(f"messages/{message.pk}/retry", told(message, despite_evidence=True)).status == 409

    assert night.post(f"messages/{message.pk}/retry", told(message, asked_other_side=True)).status == 200


def test_what_was_issued_already_needs_to_be_known_of(night: Program) -> None:
    message = wins.failed()
    proof(message)

    refused = night.post(f"messages/{message.pk}/retry", told(message, asked_other_side=True))
    assert (refused.status, refused.code) == (409, "not_allowed")

    assert night.post(f"messages/{message.pk}/retry", told(message, despite_evidence=True)).status == 200


def test_handled_takes_evidence_which_proves_one_message(night: Program) -> None:
    first, second = wins.failed("1"), wins.failed("2")
    how = {"outcome": "issued", "evidence": "V-1"}

    answer = night.post(f"messages/{first.pk}/handle", told(first, **how))
    again = night.post(f"messages/{second.pk}/handle", told(second, **how))

    assert (answer.body["status"], answer.body["resolution"]) == ("success", "handled")
    assert (again.status, again.code, again.body["message_id"]) == (409, "evidence_taken", first.pk)
    assert Evidence.objects.get().actor == "nora"


def test_discard_and_withdraw_close_a_message(night: Program) -> None:
    failed, pending = wins.failed("1"), wins.pending("2")

    discarded = night.post(f"messages/{failed.pk}/discard", told(failed))
    withdrawn = night.post(f"messages/{pending.pk}/withdraw", told(pending))

    assert (discarded.body["resolution"], withdrawn.body["resolution"]) == ("discarded", "withdrawn")


def test_the_business_may_refuse(night: Program, declare) -> None:
    def refuse(_closings: object) -> None:
        raise ValueError("the award is frozen")

    declare(refuse)
    message = told_messages.failed()

    answer = night.post(f"messages/{message.pk}/discard", told(message))

    assert (answer.status, answer.code) == (409, "not_allowed")
    assert "the award is frozen" in answer.body["detail"]


@pytest.mark.parametrize("act", ["retry", "discard", "withdraw", "handle"])
@pytest.mark.parametrize("id", ["0", "-1", "2000000000", "9" * 5_000, "x", "1.5", "%00", "%FF", "１"])
def test_an_id_of_nothing_is_nothing(night: Program, act: str, id: str) -> None:
    how = {"outcome": "issued", "evidence": "V-1"} if act == "handle" else {}

    for answer in (
        night.post(f"messages/{id}/{act}", {"revision": 0, "reason": REASON, **how}),
        night.get(f"messages/{id}"),
        night.get(f"messages/{id}/payload"),
    ):
        assert (answer.status, answer.code) == (404, "not_found")
