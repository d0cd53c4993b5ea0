"""What a person does about a half message: at the desk, by a command, always by compare-and-set and in the audit."""

import json
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from outbox import prepare
from outbox.errors import Conflict, NotAllowed, PermissionMissing
from outbox.external.halves import asking, check_backs, deciding
from outbox.maintenance import pruning, uninstalling
from outbox.models import AuditEntry, Half, HalfAnswer, Heartbeat, Message
from outbox.monitoring.health import health
from outbox.monitoring.metrics import exposition
from outbox.testing import check_back_halves
from tests.harness.desk import page_of, text_of, user

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")
LIST = "/admin/outbox/half/"


@pytest.fixture(autouse=True)
def _ready(listen):
    listen()


def prepared(key="order-1", **options):
    with (
        pytest.raises(TimeoutError),
        prepare("test.sold", key=key, payload={"name": "Ann"}, check="test.check", **options) as half,
    ):
        raise TimeoutError
    return Half.objects.get(write_id=half.write_id)


@pytest.fixture
def unknown(checked):
    """A half message of which the check does not know, although it was asked often enough."""
    checked(None)
    half = prepared()
    assert check_back_halves() == {half.write_id: "unknown"}
    return Half.objects.get()


def by(half, **changes):
    return {"revision": half.revision, "actor": "ada", "reason": "I have looked", **changes}


def test_published_by_hand_it_is_the_message(unknown):
    half = deciding.publish_by_hand(unknown.pk, **by(unknown))

    assert (half.state, half.settled_by, Message.objects.get().payload) == ("published", "person", {"name": "Ann"})
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.before["state"], entry.after["state"]) == (
        "half_publish",
        "ada",
        "unknown",
        "published",
    )


def test_taken_back_by_hand_what_follows_from_that_is_published(checked, listen):
    listen(topic="test.given_back", name="test.other")
    checked(None)
    half = prepared(otherwise="test.given_back")
    check_back_halves()

    half = deciding.take_back_by_hand(half.pk, **by(Half.objects.get()))

    assert (half.state, [message.topic for message in Message.objects.all()]) == ("taken_back", ["test.given_back"])


def test_asked_again_it_has_a_fresh_set_of_questions(unknown, checked):
    deciding.ask_again(unknown.pk, revision=unknown.revision, actor="ada")
    half = Half.objects.get()
    assert (half.state, half.fruitless) == ("open", 0)

    checked(True)
    assert check_back_halves() == {unknown.write_id: "published"}
    assert HalfAnswer.objects.count() == 4


@pytest.mark.parametrize("act", [deciding.publish_by_hand, deciding.take_back_by_hand])
def test_while_the_producer_may_be_at_work_nobody_decides(act, checked):
    checked(None)
    half = prepared()

    with pytest.raises(NotAllowed, match="was not asked yet"):
        act(half.pk, **by(half))


def test_who_was_slower_is_told(unknown):
    deciding.publish_by_hand(unknown.pk, **by(unknown))

    with pytest.raises(NotAllowed, match="settled"):
        deciding.take_back_by_hand(unknown.pk, **by(unknown))
    with pytest.raises(Conflict, match="settled since you looked: published, by a person"):
        deciding.ask_again(unknown.pk, revision=unknown.revision, actor="ada")
    assert (Half.objects.get().state, Message.objects.count()) == ("published", 1)


def test_what_was_changed_since_one_looked_is_a_conflict(unknown):
    deciding.ask_again(unknown.pk, revision=unknown.revision, actor="ben")

    with pytest.raises(Conflict, match="changed since you looked"):
        deciding.publish_by_hand(unknown.pk, **by(unknown))


def test_it_takes_a_permission_and_a_reason(unknown):
    with pytest.raises(PermissionMissing, match=r"outbox\.decide_half"):
        deciding.publish_by_hand(unknown.pk, **by(unknown, actor=user("viewer", "view_half")))
    with pytest.raises(NotAllowed, match="Say why"):
        deciding.publish_by_hand(unknown.pk, **by(unknown, reason=" "))
    assert Half.objects.get().state == "unknown"


def test_a_message_that_nobody_listens_to_any_more_cannot_be_published(unknown, listen):
    from outbox import registry

    registry.forget_consumer("test.till")

    with pytest.raises(NotAllowed, match="no consumer listens"):
        deciding.publish_by_hand(unknown.pk, **by(unknown))
    assert Half.objects.get().state == "unknown"


def test_the_desk_lists_shows_and_decides(client, unknown):
    client.force_login(user("lead", "view_half", "decide_half"))

    listed, shown = text_of(client.get(LIST)), text_of(client.get(page_of(unknown)))
    assert "order-1" in listed
    assert "not known yet" in shown
    assert str(unknown.write_id) in shown
    assert ("Ann" in shown, "•••" in shown) == (False, True)
    assert "order-1" not in text_of(client.get(f"{LIST}?state=published"))
    given = {"act": "half_publish", "revision": unknown.revision, "reason": "it is there", "confirm": "on"}
    answer = client.post(page_of(unknown), given, follow=True)

    assert Half.objects.get().state == "published"
    assert "Published." in text_of(answer)
    assert "it is there" in text_of(client.get(page_of(unknown)))


def test_the_desk_refuses_who_may_not_and_keeps_what_was_typed(client, unknown):
    client.force_login(user("viewer", "view_half"))
    given = {"act": "half_take_back", "revision": unknown.revision, "reason": "it is gone", "confirm": "on"}

    answer = text_of(client.post(page_of(unknown), given))

    assert Half.objects.get().state == "unknown"
    assert "outbox.decide_half" in answer
    assert "it is gone" in answer
    assert client.post(page_of(unknown), {"act": "discard"}).status_code == 403
    client.force_login(user("nobody"))
    assert client.get(LIST).status_code == 403


def test_the_payload_is_shown_to_whom_may_see_it(client, unknown):
    client.force_login(user("lead", "view_half", "view_payload"))

    assert "Ann" in text_of(client.get(page_of(unknown)))


def test_the_command_lists_and_decides(unknown, capsys):
    call_command("outbox_half", "list")
    assert "order-1 (test.check)" in capsys.readouterr().out
    call_command("outbox_half", "list", "--json")
    assert json.loads(capsys.readouterr().out)["write_id"] == str(unknown.write_id)

    call_command("outbox_half", "take-back", str(unknown.pk), "--reason", "not there", "--actor", "ada")
    assert "taken back" in capsys.readouterr().out
    with pytest.raises(CommandError, match="settled"):
        call_command("outbox_half", "publish", str(unknown.pk), "--reason", "there", "--actor", "ada")
    assert AuditEntry.objects.filter(action="half_take_back", origin__startswith="command (").exists()


def test_health_and_metrics_tell_of_what_a_person_must_decide(unknown):
    [finding] = [finding for finding in health().findings if finding.about == "halves:test.check:unknown"]

    assert (finding.level.word, finding.figure) == ("warning", 1)
    assert "1 half message is unknown" in finding.sentence
    assert 'outbox_halves{check="test.check",state="unknown"} 1.0' in exposition().decode()


def test_health_tells_of_questions_that_nobody_asks(checked):
    checked(None)
    prepared()
    Half.objects.update(check_at=Now() - timedelta(minutes=6))

    [finding] = [finding for finding in health().findings if finding.about == "halves:test.check"]

    assert finding.level.word == "warning"
    assert "should have been asked about 6 min ago" in finding.sentence
    Half.objects.update(check_at=Now() - timedelta(minutes=31))
    assert [f.level.word for f in health().findings if f.about == "halves:test.check"] == ["critical"]


def test_operations_leads_to_where_they_are(client, unknown):
    client.force_login(user("lead", "view_half", "view_heartbeat", "view_message"))

    assert f'href="{LIST}"' in client.get("/admin/").content.decode()


def test_the_outbox_is_not_uninstalled_while_half_messages_wait(unknown, checked):
    checked(None)
    prepared("order-2")

    traces = uninstalling.find_traces()

    assert (traces.unfinished, traces.exhausted) == (1, 1)


def test_a_check_that_is_missing_from_the_code_is_said_by_manage_py_check(checked):
    checked(None)
    prepared()
    assert [
        found.id for found in run_checks(tags=["database"], databases=["default"]) if found.id == "outbox.E014"
    ] == []

    check_backs.forget_check("test.check")

    [said] = [found for found in run_checks(tags=["database"], databases=["default"]) if found.id == "outbox.E014"]
    assert "'test.check', which is not declared" in said.msg


def test_what_was_settled_long_ago_is_removed_and_nothing_else(unknown, checked):
    checked(True)
    old, new = prepared("order-2"), prepared("order-3")
    check_back_halves()
    Half.objects.filter(pk=old.pk).update(settled_at=Now() - timedelta(days=31))
    Heartbeat.objects.filter(name=pruning.SMALL_TABLES).delete()

    pruning.prune()

    assert sorted(Half.objects.values_list("pk", flat=True)) == [unknown.pk, new.pk]
    assert set(HalfAnswer.objects.values_list("half", flat=True)) == {unknown.pk, new.pk}


def test_a_host_s_test_asks_the_checks_itself(checked):
    checked(None, True)
    half = prepared()

    assert check_back_halves() == {half.write_id: "published"}
    assert asking.claim(1) == []
