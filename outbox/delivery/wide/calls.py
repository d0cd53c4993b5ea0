"""One call under way: its messages, its place, and until when it may take."""

from collections.abc import Callable, Sequence
from time import monotonic

from outbox.declared import Consumer
from outbox.delivery.non_atomic import Ended
from outbox.models import Fence, Message


class Call:
    """A call of a consumer that has a place: for one message, or for the many of a ``bulk`` consumer.

    ``at`` is when it is to be made and ``until`` when it has taken too long, on this process's monotonic clock.
    """

    __slots__ = ("at", "blocks", "cancel", "consumer", "ended", "given_up", "is_held", "messages", "until")

    def __init__(self, consumer: Consumer, messages: Sequence[Message], *, wait: float = 0.0) -> None:
        self.consumer, self.messages = consumer, messages
        self.get_place(wait)
        self.ended: Sequence[Ended] = ()
        self.given_up = False
        """Its messages are settled as timed out; whatever still runs of it keeps its place."""
        self.blocks = False
        """It holds up the event loop of its process."""
        self.is_held = True
        """Whether the messages were still ours when the lease was last renewed."""
        self.cancel: Callable[[], None] | None = None
        """Breaks it off; a thread has no such thing."""

    def get_place(self, wait: float = 0.0) -> None:
        """Have its time begin, ``wait`` seconds from now."""
        self.at = monotonic() + wait
        self.until = self.at + self.consumer.timeout.total_seconds()

    @property
    def fences(self) -> list[Fence]:
        """The rows and attempts that are held for it."""
        return [message.fence for message in self.messages]

    @property
    def is_settling(self) -> bool:
        """Tell whether its handler settles it, or has: then the row is another at any moment."""
        return any(getattr(message.settlement, "is_settling", False) for message in self.messages)
