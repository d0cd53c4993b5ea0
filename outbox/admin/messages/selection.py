"""Retrying the rows picked on one page of the queue: sorted out first, then one by one through ``operate``."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils import timezone
from django.utils.translation import gettext as _

from outbox import operate, registry
from outbox.admin.messages import detail, diagnosis
from outbox.admin.messages.listing import ROWS_PER_PAGE
from outbox.errors import OperatorError
from outbox.models import Attempt, Evidence, Message
from outbox.models.row_ids import read_id
from outbox.operate import Person
from outbox.operate.actions import Action


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is, or was, left out, and why."""

    message: Message
    why: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows picked: those that can be retried, with the revision that was shown, and those that are left out."""

    able: dict[int, tuple[Message, int]] = field(default_factory=dict)
    left_out: list[Refused] = field(default_factory=list)

    @property
    def picks(self) -> list[str]:
        """The rows that can be retried, as the next form posts them."""
        return [f"{id}:{revision}" for id, (_message, revision) in self.able.items()]


def read_picked(values: Sequence[str]) -> dict[int, int]:
    """Read the posted ``id:revision`` pairs, at most a page of them; what is not one is left out."""
    pairs = (map(read_id, value.split(":", 1)) for value in values[:ROWS_PER_PAGE] if ":" in value)
    return {id: revision for id, revision in pairs if id is not None and revision is not None}


def sort_out(picked: dict[int, int], user: Person) -> Wanted:
    """Tell apart what can be retried together from what needs a look of its own."""
    rows = Message.objects.defer("payload", "headers").in_bulk(list(picked))
    attempts: dict[int, list[Attempt]] = {}
    for attempt in Attempt.objects.filter(message_id__in=list(picked)).defer("traceback").order_by("id"):
        attempts.setdefault(attempt.message_id, []).append(attempt)
    proofs = {row.message_id: row for row in Evidence.objects.issued().filter(message_id__in=list(picked))}
    wanted = Wanted()
    for id, revision in picked.items():
        message = rows.get(id)
        if message is None:
            continue
        why = detail.refusal(Action.RETRY, message, user) or _needs_a_look(
            message, attempts.get(id, []), proofs.get(id)
        )
        if why:
            wanted.left_out.append(Refused(message, why))
        else:
            wanted.able[id] = message, revision
    return wanted


def retry_selected(wanted: Wanted, *, actor: Person, origin: str, reason: str) -> list[Refused]:
    """Retry each row and return those that were refused after all."""
    refused = []
    for id, (message, revision) in wanted.able.items():
        try:
            operate.retry(id, revision=revision, actor=actor, origin=origin, reason=reason)
        except OperatorError as refusal:
            refused.append(Refused(message, str(refusal)))
    return refused


def unfit(reason: str) -> str:
    """Return why the audit cannot keep this reason; empty if it can."""
    try:
        operate.check_reason(reason)
    except OperatorError as refusal:
        return str(refusal)
    return ""


def held_back(wanted: Wanted) -> list[str]:
    """Return, for each consumer of what was retried that is held back, why and when it goes on."""
    consumers = sorted({message.consumer for message, _revision in wanted.able.values()})
    return [why for consumer in consumers if (why := operate.why_held_back(consumer))]


def _needs_a_look(message: Message, attempts: Sequence[Attempt], proof: Evidence | None) -> str:
    if proof is not None:
        return _("It was issued already, by “%(evidence)s”. Open the message, then decide.") % {"evidence": proof.text}
    consumer = registry.get(message.consumer)
    case = diagnosis.Case(message=message, attempts=attempts, consumer=consumer, state=None, now=timezone.now())
    if diagnosis.other_side_may_have_acted(case):
        return _("The other side may have acted. Open the message, ask the other side, then decide.")
    return ""
