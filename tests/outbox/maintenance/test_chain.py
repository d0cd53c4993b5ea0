"""The chain of the audit is checked by itself: a part at a time, once a day, and whoever tampers with it is told of."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client

from outbox import audit
from outbox.maintenance import chain, pruning
from outbox.models import AuditEntry, Heartbeat
from outbox.monitoring.chain import ChainCheck, read_check
from outbox.monitoring.finding import Level, What
from outbox.monitoring.health import health, measure
from outbox.monitoring.metrics import exposition
from tests.harness.clock import DAY, HOUR, MINUTE
from tests.harness.desk import text_of, user
from tests.harness.rows import rescanned
from tests.outbox.audit.entries import YEAR, append_actions, as_its_owner
from tests.outbox.audit.tampering import TAMPERINGS, WHERE, spread_out

pytestmark = pytest.mark.usefixtures("transactional_db")
NO_TIME = timedelta(0)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)


def pass_by(span: timedelta) -> None:
    """Let so long pass since all that was noted."""
    beat = Heartbeat.objects.get(name="audit")
    check = read_check()
    moments = {name: _earlier(getattr(check, name), span) for name in ("ended_at", "full_at", "broken_at")}
    Heartbeat.objects.filter(pk=beat.pk).update(at=beat.at - span, data={**check.as_json(), **moments})


def _earlier(moment: str, span: timedelta) -> str:
    return (datetime.fromisoformat(moment) - span).isoformat() if moment else ""


def parts() -> Iterator[ChainCheck]:
    """Make passes that have time for one page each, until the round is over."""
    while True:
        check = chain.check(budget=NO_TIME)
        yield check
        if not check.began_at:
            return


def findings() -> list[tuple[Level, str]]:
    return [(one.level, one.sentence) for one in health().findings if one.what == What.AUDIT]


def test_it_is_checked_in_parts_that_go_on_where_the_last_one_ended_and_the_result_is_kept():
    ids = append_actions(*[HOUR] * 5)

    places = [check.last_id for check in parts()]

    check = read_check()
    assert places == [ids[1], ids[3], ids[4]]
    assert (check.whole_to, check.entries, check.broken, check.is_full) == (ids[4], 5, 0, True)
    assert check.whole_digest == audit.last_digest()


def test_a_day_later_only_what_is_new_is_checked_and_a_week_later_all_of_it():
    append_actions(HOUR, HOUR)
    list(parts())
    again = chain.check()
    new = append_actions(HOUR)

    pass_by(DAY)
    daily = chain.check()
    for _day in range(6):
        pass_by(DAY)
        chain.check()
    weekly = read_check()

    assert again.entries == 2
    assert (daily.entries, daily.is_full, daily.whole_to) == (1, False, new[0])
    assert (weekly.entries, weekly.is_full) == (3, True)


def test_a_pass_with_nothing_to_do_only_says_that_it_was_made_and_not_every_time():
    chain.check()
    first = Heartbeat.objects.get(name="audit").at

    chain.check()
    soon = Heartbeat.objects.get(name="audit").at
    pass_by(2 * MINUTE)
    chain.check()

    assert soon == first
    assert Heartbeat.objects.ran_within("audit", MINUTE)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("how", TAMPERINGS)
def test_whoever_tampers_with_what_was_checked_is_found_by_the_next_full_check(how: str, where: str):
    ids = spread_out(append_actions(*[HOUR] * 7))
    list(parts())

    broken = TAMPERINGS[how](ids, WHERE[where])

    pass_by(8 * DAY)
    list(parts())
    # Where the last entry is gone, its place is what shows it.
    assert read_check().broken == (ids[-1] if broken is None else broken)


@pytest.mark.parametrize("how", ["removed", "reordered", "inserted"])
def test_whoever_tampers_with_the_end_that_was_checked_is_found_within_a_day(how: str):
    ids = spread_out(append_actions(*[HOUR] * 7))
    list(parts())

    TAMPERINGS[how](ids, -1)

    pass_by(DAY)
    list(parts())
    assert read_check().broken == (ids[-1] + 50 if how == "inserted" else ids[-1])


def test_whoever_has_the_last_checked_entry_sealed_anew_is_found_within_a_day():
    last = append_actions(*[HOUR] * 3)[-1]
    list(parts())
    forged = AuditEntry.objects.get(pk=last)
    forged.reason = "nothing happened"
    forged.texts_digest = forged.texts_sealed()

    as_its_owner(
        f"UPDATE outbox_auditentry SET reason = '{forged.reason}', texts_digest = '{forged.texts_digest}', "
        f"digest = '{forged.sealed()}' WHERE id = {last}"
    )

    pass_by(DAY)
    list(parts())
    assert read_check().broken == last
    assert audit.verify_chain() is None


def test_a_break_is_critical_says_what_to_do_and_stays_until_the_chain_is_whole_again(client: Client):
    ids = append_actions(*[HOUR] * 3)
    list(parts())
    whole = findings()
    saved = AuditEntry.objects.get(pk=ids[1])

    TAMPERINGS["changed"](ids, 1)
    pass_by(8 * DAY)
    list(parts())
    pass_by(DAY)
    list(parts())
    [(level, sentence)] = findings()
    client.force_login(user("olga", "view_audit"))
    page = client.get("/admin/outbox/auditentry/")
    TAMPERINGS["removed"](ids, 1)
    saved.save(force_insert=True)
    pass_by(DAY)
    list(parts())

    assert [(one, f"up to entry {ids[2]}" in text) for one, text in whole] == [(Level.OK, True)]
    assert level is Level.CRITICAL
    assert f"breaks at entry {ids[1]}" in sentence
    assert "Keep a backup" in sentence
    assert sentence in text_of(page)
    assert [one for one, _text in findings()] == [Level.OK]


def test_nothing_is_pruned_while_the_chain_is_broken(configure):
    configure(KEEP_AUDIT=YEAR)
    ids = append_actions(2 * YEAR, 2 * YEAR, HOUR)
    TAMPERINGS["changed"](ids, 1)
    list(parts())

    pruning.prune()

    assert AuditEntry.objects.count() == 3


def test_pruning_between_two_parts_and_between_two_checks_breaks_nothing():
    append_actions(*[2 * YEAR] * 5, HOUR)
    chain.check(budget=NO_TIME)

    audit.prune_entries(older_than=YEAR)
    list(parts())
    first = read_check()
    append_actions(2 * YEAR, HOUR)
    pass_by(DAY)
    list(parts())

    assert (first.broken, read_check().broken) == (0, 0)
    assert audit.verify_chain() is None


def test_the_audit_page_says_up_to_which_entry_and_when(client: Client):
    client.force_login(user("olga", "view_audit"))
    before = client.get("/admin/outbox/auditentry/")
    ids = append_actions(HOUR, HOUR)
    list(parts())

    page = client.get("/admin/outbox/auditentry/")

    assert "was not checked yet" in text_of(before)
    assert f"checked up to entry {ids[1]} at" in text_of(page)
    assert audit.last_digest() in text_of(page)


def test_a_check_that_is_not_called_is_told_as_any_other_chore_and_can_be_scraped():
    rescanned()
    Heartbeat.objects.filter(name="rescan").update(since=Now() - DAY)
    append_actions(HOUR)
    list(parts())
    in_order = [finding.sentence for finding in health().findings if finding.subject == "audit"]
    Heartbeat.objects.filter(name="audit").update(at=Now() - HOUR)

    [late] = [finding for finding in health().findings if finding.subject == "audit"]
    scraped = exposition().decode()

    assert [sentence.startswith("The chore “audit” last succeeded") for sentence in in_order] == [True]
    assert (late.level, late.what) == (Level.WARNING, What.MAINTENANCE)
    assert re.search(r'outbox_maintenance_job_age_seconds{maintenance_job="audit"} 36\d\d', scraped)
    assert "outbox_audit_broken 0.0" in scraped


def test_how_long_ago_it_was_is_told_by_the_database_s_clock(monkeypatch: pytest.MonkeyPatch):
    append_actions(HOUR)
    list(parts())
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime.now(UTC) + 3 * DAY)

    ago = measure().chain.checked_ago

    assert ago is not None
    assert ago < MINUTE


def test_a_break_can_be_scraped():
    ids = append_actions(HOUR, HOUR)
    TAMPERINGS["changed"](ids, 1)
    list(parts())

    assert "outbox_audit_broken 1.0" in exposition().decode()


def test_nobody_having_looked_for_days_is_a_warning():
    append_actions(HOUR)
    list(parts())
    pass_by(3 * DAY)

    [(level, sentence)] = findings()

    assert level is Level.WARNING
    assert "last checked 3 days ago" in sentence
