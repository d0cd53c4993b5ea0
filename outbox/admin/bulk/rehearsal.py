"""The rehearsal of a frozen set on the page of its operation: the button, how far it has come, what it has found."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox import registry
from outbox.admin.forms import lacks_permission
from outbox.admin.rehearsing import Line, line_of
from outbox.admin.tones import Tone
from outbox.models import BulkOperation, BulkRehearsal
from outbox.models.rehearsal import RehearsalState
from outbox.operate.actions import Action
from outbox.rehearsal import whole_sets
from outbox.rehearsal.background import LEASE
from outbox.rehearsal.code import digest_of
from outbox.rehearsal.possible import why_impossible
from outbox.rehearsal.results import Outcome, Summary, count_all

GROUPS_SHOWN = 20
NOBODY_AFTER = timedelta(seconds=30)
"""How long no worker has taken a rehearsal when it is said that none does."""


@dataclass(frozen=True, slots=True)
class RehearsalPanel:
    """What the page shows of it. ``refusal`` says why nobody can begin one now, or why this person may not.

    ``warnings`` say what has changed since; ``leads_on`` whether a start is the next step.
    """

    rehearsal: BulkRehearsal | None
    refusal: str = ""
    may_stop: bool = False
    tone: Tone = Tone.WAIT
    headline: str = ""
    lines: Sequence[Line] = ()
    warnings: Sequence[str] = field(default_factory=list)
    percent: int = 0
    eta: timedelta | None = None
    leads_on: bool = False


def panel_of(operation: BulkOperation, user: Any) -> RehearsalPanel | None:
    """Return what is shown of the newest rehearsal and of the next; None for an operation that retries nothing."""
    if not operation.retries:
        return None
    rehearsal = BulkRehearsal.objects.filter(operation=operation).order_by("-pk").first()
    lacking = lacks_permission(Action.REHEARSE, user)
    refusal = lacking or _why_not(operation)
    if rehearsal is None:
        return RehearsalPanel(None, refusal)
    rehearsal.operation = operation
    counts, lines = _results(rehearsal)
    could_be_begun = not rehearsal.goes_on and not whole_sets.why_not(operation)
    return RehearsalPanel(
        rehearsal,
        refusal,
        may_stop=rehearsal.goes_on and not lacking,
        tone=_tone(rehearsal, counts),
        headline=_headline(rehearsal, counts, lines),
        lines=lines[:GROUPS_SHOWN],
        warnings=list(_warnings(rehearsal)) if could_be_begun else [],
        percent=100 * rehearsal.done // rehearsal.total if rehearsal.total else 100,
        eta=_eta(rehearsal),
        leads_on=rehearsal.state == RehearsalState.DONE and counts[Outcome.SUCCESS] > 0,
    )


def _why_not(operation: BulkOperation) -> str:
    """Return why the set cannot be rehearsed, in words; empty if it can."""
    if why := why_impossible():
        return why
    if not whole_sets.rehearsable_of(operation):
        return _(
            "No consumer of this set can be rehearsed: its author has to promise that a rollback undoes what it does "
            "(rehearsable=True)."
        )
    return whole_sets.why_not(operation)


def _results(rehearsal: BulkRehearsal) -> tuple[Counter[Outcome], list[Line]]:
    """Return how many came to what, and why those would not succeed that would not, the most frequent first."""
    summaries = {name: Summary.from_json(found) for name, found in rehearsal.results.items()}
    counts = count_all(summaries.values())
    groups = sorted((group for each in summaries.values() for group in each.groups), key=lambda group: -group.count)
    lines = [line_of(group) for group in groups]
    for consumer, summary in summaries.items():
        well, many = summary.together or (0, 0)
        if well < min(many, summary.counts[Outcome.SUCCESS]):
            text = _(
                "%(consumer)s: of one chunk of %(many)d together, one after the other, %(well)d would succeed. They "
                "take something from each other."
            )
            words = {"consumer": consumer, "well": well, "many": many}
            lines.insert(0, Line(Tone.WAIT, text % words))
    return counts, lines


def _tone(rehearsal: BulkRehearsal, counts: Counter[Outcome]) -> Tone:
    if rehearsal.goes_on:
        return Tone.BUSY
    if rehearsal.state == RehearsalState.DONE and counts[Outcome.SUCCESS] == counts.total():
        return Tone.GOOD
    return Tone.BAD if counts[Outcome.FAILED] or rehearsal.state == RehearsalState.FAILED else Tone.WAIT


def _headline(rehearsal: BulkRehearsal, counts: Counter[Outcome], lines: Sequence[Line]) -> str:
    """Return in a sentence or two how far it has come, and what it has found so far."""
    found = _found(counts, kinds=sum(line.tone is Tone.BAD for line in lines))
    words = {"done": _number(rehearsal.done), "total": _number(rehearsal.total), "found": found}
    match rehearsal.state:
        case RehearsalState.WAITING:
            if timezone.now() - rehearsal.started_at > NOBODY_AFTER:
                return _("No worker has taken it yet: start workers, and look at Operations for the cause.")
            return _("It waits for a worker, or for another rehearsal to end.")
        case RehearsalState.RUNNING:
            said = _("%(done)s of %(total)s rehearsed. So far: %(found)s") if found else _("It has just begun.")
            is_silent = rehearsal.seen_at is not None and timezone.now() - rehearsal.seen_at > LEASE
            silence = _("Its worker says nothing any more; the next one goes on with it.") if is_silent else ""
            return f"{said % words} {silence}".strip()
        case RehearsalState.DONE:
            return found or _("There was nothing left to rehearse.")
        case RehearsalState.STOPPED:
            why = str(rehearsal.get_stopped_because_display())
            if rehearsal.stopped_by:
                why = _("%(who)s has stopped it.") % {"who": rehearsal.stopped_by}
            came = _("%(done)s of %(total)s rehearsed. %(found)s") % words
            return f"{why} {came}".strip()
    why = _("It could not be rehearsed: %(why)s") % {"why": rehearsal.error}
    return f"{why} {found}".strip()


def _found(counts: Counter[Outcome], *, kinds: int) -> str:
    """Return what it has come to: "99,960 would succeed, 40 would fail, for 3 reasons"."""
    well, failed = counts[Outcome.SUCCESS], counts[Outcome.FAILED]
    parts = [_("%(count)s would succeed") % {"count": _number(well)}] if counts else []
    if failed:
        text = ngettext(
            "%(count)s would fail, for %(kinds)d reason", "%(count)s would fail, for %(kinds)d reasons", kinds
        )
        parts.append(text % {"count": _number(failed), "kinds": kinds})
    others = {
        Outcome.PUT_OFF: _("%(count)s would be put off"),
        Outcome.BUSY: _("%(count)s are held by somebody else"),
        Outcome.GONE: _("%(count)s are settled by now, or removed"),
        Outcome.REFUSED: _("%(count)s cannot be rehearsed"),
    }
    parts += [text % {"count": _number(counts[outcome])} for outcome, text in others.items() if counts[outcome]]
    return _("%(parts)s, each by itself.") % {"parts": ", ".join(parts)} if parts else ""


def _warnings(rehearsal: BulkRehearsal) -> Iterator[str]:
    """Say what has changed since, so that a retry may come to something else."""
    if whole_sets.has_changed(rehearsal):
        yield _("Somebody has acted on messages of the set since. Those that were changed are left out when it starts.")
    for name, digest in rehearsal.codes.items():
        consumer = registry.get(name)
        if consumer is None or digest_of(consumer) != digest:
            yield _("The code of %(consumer)s has changed since: rehearse it again.") % {"consumer": name}


def _eta(rehearsal: BulkRehearsal) -> timedelta | None:
    if rehearsal.state != RehearsalState.RUNNING or not rehearsal.done or not rehearsal.ran_seconds:
        return None
    left = rehearsal.total - rehearsal.done
    return timedelta(seconds=left * rehearsal.ran_seconds / rehearsal.done)


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)
