"""A consumer as the engine knows it: what a project has declared, and what follows from that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from outbox import options
from outbox.closings import Hook
from outbox.conf import conf
from outbox.options import Handler
from outbox.policy import Backoff, Rate
from outbox.topics import matches

if TYPE_CHECKING:
    from decimal import Decimal

    from outbox.drafts import Draft
    from outbox.models import Message

Question = Callable[["Message"], object]
"""A function of a message, plain or async, that asks the other side what it has of it: a text, or None for nothing."""
SETTLE_MARGIN = timedelta(seconds=10)
TIMES_IN_A_HINT = 4
"""How often an atomic consumer may use up its timeout in one hint: see ``Consumer.time_limit``."""
LONGEST_HINT = timedelta(minutes=15)
"""Half of RabbitMQ's default ``consumer_timeout`` (30 min): a hint that runs longer would stop its worker."""


class Relay(Protocol):
    """What sends the messages of a forward to where it leads."""

    @property
    def receipt(self) -> timedelta | None:
        """How long the receiver has to say that it has consumed a message; None: the broker's confirm is enough."""

    @property
    def receiver(self) -> str:
        """Whose receipt that is."""

    @property
    def destination(self) -> str:
        """Where that is, as operators know it."""

    @property
    def sequence(self) -> bool:
        """Whether what it sends is numbered."""

    @property
    def routing_key(self) -> str:
        """The routing key of all that it sends; empty: the topic of each message."""

    def send(self, messages: "Sequence[Message]", *, until: float) -> Sequence[BaseException | None]:
        """Send them, up to a time of the monotonic clock.

        Return of each, in their order, what is wrong with it: None if it is confirmed. Of an ordering key nothing is
        sent before what stands ahead of it is confirmed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One function that acts on the messages of a topic, and how it wants to be treated."""

    name: str
    pattern: str
    handler: Handler = field(repr=False)
    chunk: int
    run: int
    """How many messages of few ordering keys one transaction has at most, where all before them went well: more than a
    chunk, unless its author has said how long that is."""
    atomic: bool
    retry: Backoff = Backoff()  # noqa: RUF009  # frozen
    timeout: timedelta = timedelta(seconds=15)  # immutable
    sort: "Callable[[Message], Any] | None" = None
    isolated: bool = False
    bulk: bool = False
    deadline: timedelta = timedelta(days=7)  # immutable
    high_water: int | None = None
    concurrency: int = 1
    rate: Rate | None = None
    at_most_once: bool = False
    overdue: str = "fail"
    rehearsable: bool = False
    locked: tuple[str, ...] = ()
    ask: "Question | None" = field(default=None, repr=False)
    value: "bool | Callable[[Draft], tuple[Decimal | int, str] | None]" = True
    on_handled: Hook | None = field(default=None, repr=False)
    on_discarded: Hook | None = field(default=None, repr=False)
    on_reopened: Hook | None = field(default=None, repr=False)
    on_withdrawn: Hook | None = field(default=None, repr=False)
    tells_of: str = ""
    """The consumer of whose ends this one tells the project, where the engine has made it for ``on_exhausted``."""
    relay: "Relay | None" = None
    """What sends its messages, if it is a forward: there is no handler of the project's."""

    @property
    def hooks(self) -> list[Hook]:
        """Return what the project is told by, of all that is given."""
        by_hand = (self.on_handled, self.on_discarded, self.on_reopened, self.on_withdrawn)
        told_by = (*by_hand, self.handler if self.tells_of else None)
        return [hook for hook in told_by if hook is not None]

    @property
    def closes_for_good(self) -> bool:
        """Tell whether the business follows what closes a message by hand, and has no way to take that back."""
        return (self.on_handled is not None or self.on_discarded is not None) and self.on_reopened is None

    @property
    def is_async(self) -> bool:
        """Tell whether the handler is ``async def``."""
        return options.is_async(self.handler)

    @property
    def wide(self) -> bool:
        """Tell whether the calls are made beside each other, by the process's own pool of places, and not in the hint.

        A rate is one, too: a call that must wait for its time must not hold up a hint.
        """
        if self.works_in_chunks:
            return False
        return self.concurrency > 1 or self.is_async or self.bulk or self.rate is not None

    @property
    def works_in_chunks(self) -> bool:
        """Tell whether its messages are started and settled together, chunk after chunk, within a hint."""
        return self.atomic or self.relay is not None

    @property
    def lease(self) -> timedelta:
        """How long a started row belongs to its worker.

        With ``atomic`` the row lock protects it after that. Calls made beside each other have a shorter one, which is
        renewed.
        """
        return conf().lease if self.atomic else self.timeout + conf().lease

    @property
    def receipt(self) -> timedelta | None:
        """How long a receipt is waited for once a message is sent; None: there is none to wait for."""
        return None if self.relay is None else self.relay.receipt

    @property
    def rows_in_call(self) -> int:
        """How many messages one call has at most."""
        return self.chunk if self.bulk else 1

    def suspects_together(self, lost: int) -> int:
        """Return how many rows may run together once ``lost`` workers in a row were lost over them.

        Where calls are made beside each other: half as many with each loss. So the row that ends its worker is found
        among many others after few losses, and none of the others is charged an attempt.
        """
        return max(1, self.concurrency >> lost) if self.wide else 1

    @property
    def time_limit(self) -> timedelta:
        """Celery's hard limit for one hint: the timeout four times, with a margin, at least 30 s.

        An atomic consumer may use its timeout up four times: in the call for a whole list, in the row that is under way
        when the chunk's time is up, and in the first and the last try of a row that is redone. Outside a transaction
        nothing else ends a call, so each row of the chunk may take its timeout. The limit means nothing to calls that
        are made beside each other: they are not made in the hint.
        """
        if self.wide:
            return LONGEST_HINT
        times = TIMES_IN_A_HINT if self.works_in_chunks else self.chunk
        return max(timedelta(seconds=30), times * (self.timeout + timedelta(seconds=1)) + SETTLE_MARGIN)

    @property
    def hint_limit(self) -> int:
        """Hints that may wait in the consumer's queue before no more are sent."""
        return self.high_water or conf().high_water

    def listens_to(self, topic: str) -> bool:
        """Tell whether the consumer's pattern matches ``topic``."""
        return matches(self.pattern, topic)


def default_chunk(*, atomic: bool, bulk: bool, concurrency: int) -> int:
    """Return how many rows are delivered together: those of a transaction, of a list, or of the places of a process."""
    if atomic or bulk:
        return 50
    return max(5, concurrency)
