"""The audit in words: acts of people, what the engine notes of itself, and what the check of the chain has found."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.translation import gettext as _

from outbox.admin import formats
from outbox.admin.tones import Tone
from outbox.audit import DENIED, PRUNED
from outbox.models import AuditEntry
from outbox.monitoring.chain import ChainCheck, as_moment, break_in_words
from outbox.operate.actions import API_REFUSED, BULK_STATE, Action
from outbox.operate.wording import name_act


@dataclass(frozen=True, slots=True)
class CheckInWords:
    """What the check of the chain has found, how good that is, what is to be known beside it, and where it breaks."""

    tone: Tone
    text: str
    details: list[str]
    broken: int = 0


def acts_in_words() -> dict[str, str]:
    """Return what each act is called, in the reader's language."""
    return {
        **{act.value: str(act.label) for act in Action},
        API_REFUSED: _("a refused call of the API"),
        BULK_STATE: _("bulk operation: a change of state by itself"),
        DENIED: _("refused acts"),
        PRUNED: _("remove old entries"),
    }


def act_of(entry: AuditEntry, acts: Mapping[str, str]) -> str:
    """Return what was done, or what was refused, as ``acts_in_words`` has it."""
    if entry.action == DENIED:
        return _("refused: %(act)s") % {"act": name_act(entry.before.get("act", ""))}
    return acts.get(entry.action, entry.action)


def describe_check(check: ChainCheck) -> CheckInWords:
    """Say up to which entry the chain was whole and when, what is under way, and where it breaks."""
    details = []
    if check.whole_digest:
        details.append(
            _("Its last hash is %(digest)s. Note it elsewhere, to see later if the end was cut off.")
            % {"digest": check.whole_digest}
        )
    if check.began_at:
        details.append(_("A check is under way: entries so far %(count)d.") % {"count": check.entries})
    if (full := as_moment(check.full_at)) is not None:
        details.append(format_html(_("Last checked from the first entry on: {}."), formats.format_moment(full)))
    if check.broken:
        return CheckInWords(Tone.BAD, break_in_words(check.broken), details, check.broken)
    if (ended := as_moment(check.ended_at)) is None:
        return CheckInWords(
            Tone.WAIT, _("The chain of hashes was not checked yet. Workers check it once a day."), details
        )
    text = format_html(
        _("The chain is whole: checked up to entry {} at {}."), check.whole_to, formats.format_moment(ended)
    )
    return CheckInWords(Tone.GOOD, text, details)
