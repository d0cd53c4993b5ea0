"""Where things are on the desk, for one person: no link leads to a page that would refuse them."""

from dataclasses import dataclass

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.translation import gettext as _

from outbox.admin.base import narrowed
from outbox.admin.seeing import permission_to_see
from outbox.admin.tones import OF_LEVEL, Tone
from outbox.monitoring.findings import Finding, What
from outbox.operate import Person

QUEUE, MESSAGE = "message_changelist", "message_change"
CONSUMER, CONSUMERS = "consumerstate_change", "consumerstate_changelist"
GROUP, GROUPS, HEARTBEATS = "failuregroup_change", "failuregroup_changelist", "heartbeat_changelist"
AUDIT, BROKER, HALVES = "auditentry_changelist", "deadletter_changelist", "half_changelist"
QUARANTINE, SOURCES = "quarantined_changelist", "sourcestate_changelist"
BOOKS, GAPS, OUR_STREAMS = "bookstate_changelist", "gap_changelist", "sequencestream_changelist"
THEIR_STREAMS = "watchedstream_changelist"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One finding: how bad it is, what it says, and where to do something about it."""

    tone: Tone
    text: str
    url: str
    link: str


class Places:
    """Where things are, for one person: no link leads to a page that would refuse them."""

    def __init__(self, user: Person, site: str | None) -> None:
        self._user, self._site = user, site

    def may_see(self, model: str) -> bool:
        """Tell whether the person may see the rows of a model."""
        return self._user.has_perm(permission_to_see(f"outbox_{model}_changelist"))

    def url(self, place: str, *args: str, **query: str) -> str:
        """Return an address of the desk, empty if the person may not go there."""
        if not self.may_see(place.partition("_")[0]):
            return ""
        address = reverse(f"admin:outbox_{place}", args=[quote(arg) for arg in args], current_app=self._site)
        return address + (narrowed(**query) if any(query.values()) else "")

    def sentence(self, finding: Finding) -> Sentence:
        """Return a finding with the link to what it speaks of; what is in order needs none."""
        url, link = self._place_of(finding) if finding.level else ("", "")
        return Sentence(OF_LEVEL[finding.level], finding.sentence, url, link if url else "")

    def _place_of(self, finding: Finding) -> tuple[str, str]:
        match finding.what:
            case What.OLDEST:
                return self.url(QUEUE, tab="pending", consumer=finding.subject), _("Show what waits")
            case What.EXHAUSTED | What.BURST | What.HELD:
                return self.url(QUEUE, tab="failed", consumer=finding.subject), _("Show what failed")
            case What.DOUBLED if finding.subject:
                return self.url(MESSAGE, finding.subject), _("Open the message")
            case What.FAILING:
                return self.url(GROUPS, consumer=finding.subject), _("Show the failure groups")
            case What.PAUSED | What.BREAKER | What.GONE:
                return self.url(CONSUMER, finding.subject), _("Open the consumer")
            case What.RESCAN | What.BROKER | What.QUEUE | What.MAINTENANCE:
                return self.url(HEARTBEATS), _("Show the chores")
            case What.WATCH | What.ALARM | What.NODE | What.BACKLOG | What.DEAD | What.MEMBERS:
                return self.url(BROKER), _("Look at the broker")
            case What.HALVES:
                return self.url(HALVES), _("Show the half messages")
            case What.QUARANTINE:
                return self.url(QUARANTINE, source=finding.subject), _("Open the quarantine")
            case What.SOURCE | What.RECEIPTS:
                return self.url(SOURCES), _("Show the sources")
            case What.AUDIT:
                return self.url(AUDIT), _("Open the audit")
            case What.GAPS if finding.subject.endswith(" untold"):
                return self.url(OUR_STREAMS), _("Show the numbered streams")
            case What.GAPS if finding.subject.endswith(" silent"):
                return self.url(THEIR_STREAMS), _("Show the watched streams")
            case What.GAPS:
                return self.url(GAPS, source=finding.subject), _("Show the gaps")
            case What.BOOKS:
                return self.url(BOOKS), _("Open the books")
            case _:
                return "", ""
