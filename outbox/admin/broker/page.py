"""What the page of the broker shows. All of it is read from the database; the broker is not asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from outbox.admin.operations.places import MESSAGE, Places, Sentence
from outbox.admin.tones import OF_LEVEL, Tone
from outbox.broker.dead_letters import READ_AT_ONCE
from outbox.broker.queues import dead_letter_queue
from outbox.broker.watching import BrokerLook, NodeSeen, QueueSeen
from outbox.models import DeadLetter, Message
from outbox.monitoring.broker import HEARTBEAT, measure_broker
from outbox.monitoring.broker_findings import judge_broker, why_dead
from outbox.monitoring.finding import worst
from outbox.monitoring.measurements import BrokerMeasurements
from outbox.monitoring.notes import read_notes
from outbox.policy import ZERO

NAMED = 5
"""Messages of a letter that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Named:
    """A message that a dead letter has named, and the way to it; None for the row of one that is not kept any more."""

    id: int
    message: Message | None
    url: str


@dataclass(frozen=True, slots=True)
class LetterShown:
    """A dead letter, why it is one, and what it named."""

    letter: DeadLetter
    why: str
    named: Sequence[Named]
    more: int


@dataclass(frozen=True, slots=True)
class QueueShown:
    """A queue, and how good what is known of it is."""

    seen: QueueSeen
    tone: Tone
    word: str


@dataclass(frozen=True, slots=True)
class NodeShown:
    """A node, with its memory and disk in words."""

    name: str
    tone: Tone
    word: str
    memory: str
    disk: str


@dataclass(frozen=True, slots=True)
class BrokerPage:
    """The whole page; ``looked_at`` is None if nobody has looked, or too long ago for its figures to be shown."""

    tone: Tone
    headline: str
    wrong: Sequence[Sentence]
    in_order: Sequence[Sentence]
    looked_at: datetime | None
    look: BrokerLook
    queues: Sequence[QueueShown]
    nodes: Sequence[NodeShown]
    letters: Sequence[LetterShown]
    in_queue: int


def read_broker_page(places: Places) -> BrokerPage:
    """Read what was noted of the broker, in three statements."""
    notes = read_notes([HEARTBEAT])
    seen = measure_broker(notes)
    # How long the installation is known is Operations' to judge.
    findings = sorted(judge_broker(seen, known_for=ZERO), key=lambda finding: -finding.level)
    said = [(one.level, Sentence(OF_LEVEL[one.level], one.sentence, "", "")) for one in findings]
    letters = list(DeadLetter.objects.shown().order_by("-pk")[:READ_AT_ONCE])
    return BrokerPage(
        tone=OF_LEVEL[worst(findings)] if findings else Tone.WAIT,
        headline=_headline(seen, wrong=any(level for level, _sentence in said)),
        wrong=[sentence for level, sentence in said if level],
        in_order=[sentence for level, sentence in said if not level],
        looked_at=timezone.now() - seen.looked if seen.is_known and seen.looked is not None else None,
        look=seen.look,
        queues=[_show_queue(queue, seen) for queue in seen.look.queues] if seen.is_known else [],
        nodes=[_show_node(node) for node in seen.look.nodes] if seen.is_known else [],
        letters=_show_letters(letters, places),
        in_queue=_in_queue(seen.look),
    )


def broker_in_a_line(seen: BrokerMeasurements | None) -> str:
    """Return what Operations says of the broker in a line; empty if nobody has looked lately."""
    if seen is None or not seen.is_known or not seen.look.is_amqp:
        return ""
    name = dead_letter_queue().name
    queues = [queue for queue in seen.look.queues if queue.name != name]
    text = _("RabbitMQ %(version)s: hints that wait %(ready)s, with workers %(unacked)s, dead letters %(dead)s")
    unacked = [queue.unacked for queue in queues if queue.unacked is not None]
    dead = max(seen.dead_letters, _in_queue(seen.look) if seen.dead_letters >= READ_AT_ONCE else 0)
    return text % {
        "version": seen.look.version,
        "ready": _number(sum(queue.ready or 0 for queue in queues)),
        "unacked": _number(sum(unacked)) if unacked else "?",
        "dead": _number(dead),
    }


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)


def _headline(seen: BrokerMeasurements, *, wrong: bool) -> str:
    if seen.looked is None:
        return _("Nobody has looked at the broker yet.")
    if not seen.look.is_amqp:
        return _("The broker is files of this machine: there is nothing to watch.")
    return _("Something is the matter with the broker.") if wrong else _("The broker is in order.")


def _in_queue(look: BrokerLook) -> int:
    name = dead_letter_queue().name
    return next((queue.ready or 0 for queue in look.queues if queue.name == name), 0)


def _show_queue(queue: QueueSeen, seen: BrokerMeasurements) -> QueueShown:
    if queue.name == dead_letter_queue().name:
        return QueueShown(queue, Tone.WAIT if queue.ready else Tone.GOOD, _("dead letters"))
    if queue.ready and not queue.takers:
        return QueueShown(queue, Tone.WAIT, _("no worker"))
    if queue.name in seen.growing:
        return QueueShown(queue, Tone.WAIT, _("grows"))
    if queue.members is not None and (queue.online or 0) < queue.members:
        return QueueShown(queue, Tone.WAIT, _("members away"))
    return QueueShown(queue, Tone.GOOD, _("in order"))


def _show_node(node: NodeSeen) -> NodeShown:
    alarmed = node.memory_alarm or node.disk_alarm
    tone = Tone.BAD if alarmed or not node.is_running else Tone.GOOD
    word = _("alarm") if alarmed else _("runs") if node.is_running else _("does not run")
    return NodeShown(
        node.name, tone, word, _size(node.memory, node.memory_limit), _size(node.disk_free, node.disk_limit)
    )


def _size(value: int | None, limit: int | None) -> str:
    if value is None or limit is None:
        return "–"
    return _("%(size)s, limit %(limit)s") % {"size": filesizeformat(value), "limit": filesizeformat(limit)}


def _show_letters(letters: Sequence[DeadLetter], places: Places) -> list[LetterShown]:
    ids = {id for letter in letters for id in letter.ids[:NAMED]}
    kept: Mapping[int, Message] = {}
    if ids and places.may_see("message"):
        kept = Message.objects.only("pk", "status", "resolution").in_bulk(ids)
    return [
        LetterShown(
            letter,
            why_dead(letter.reason),
            [Named(id, kept.get(id), places.url(MESSAGE, str(id)) if id in kept else "") for id in letter.ids[:NAMED]],
            max(len(letter.ids) - NAMED, 0),
        )
        for letter in letters
    ]
