"""A message to be diagnosed with all that a verdict rests on, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outbox.admin.tones import Tone
from outbox.declared import Consumer
from outbox.models import Attempt, AwaitedReceipt, ConsumerState, Evidence, HandledAs, Message
from outbox.operate import suspects


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Three sentences and a tone."""

    tone: Tone
    happened: str
    means: str
    do: str


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict rests on."""

    message: Message
    attempts: Sequence[Attempt]
    consumer: Consumer | None
    state: ConsumerState | None
    now: datetime
    head: Message | None = None
    """The first unsettled message of its ordering key, if that is another."""
    behind: int = 0
    """How many wait behind it, if it is the first itself; counted up to a limit."""
    evidence: Sequence[Evidence] = ()
    """What was said to prove that it was handled, the oldest first, also what was called wrong since."""

    doubled: Evidence | None = None
    """What proves that it was issued by hand, if the machine has issued it as well and nobody has acknowledged that."""

    awaited: AwaitedReceipt | None = None
    """Whose receipt is waited for, if its forward waits for any and it was tried."""

    @property
    def proof(self) -> Evidence | None:
        """What was said last, unless it was called wrong."""
        return next((row for row in reversed(self.evidence) if row.retracted_at is None), None)

    @property
    def issued_by(self) -> Evidence | None:
        """What says that the promise was kept outside the system, whatever became of the message since."""
        standing = (row for row in reversed(self.evidence) if row.retracted_at is None)
        return next((row for row in standing if row.outcome == HandledAs.ISSUED), None)


def other_side_may_have_acted(case: Case) -> bool:
    """Tell whether the world outside may have acted although the message did not succeed, by the attempts shown."""
    decided = suspects.decide_without_attempts(case.message, case.consumer)
    return any(attempt.leaves_doubt for attempt in case.attempts) if decided is None else decided
