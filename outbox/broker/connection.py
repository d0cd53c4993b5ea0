"""The connection that sends hints into the consumers' queues, each confirmed by the broker within a deadline.

A hint names rows and nothing else. What runs is read from the table, so a lost, doubled, reordered or forged hint is
harmless; all that matters here is to know which hints the broker has surely taken.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any, cast
from uuid import uuid4

from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from outbox import registry
from outbox.broker.confirming import ALARM, ConfirmingConnection, tags_of
from outbox.broker.dead_letters import DroppedHints, Letters
from outbox.broker.opening import refusal_of
from outbox.broker.queues import DELIVER_TASK, EngineQueue, celery_app, dead_letter_queue, hint_queue, queue_name
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerDistrusted, BrokerRefuses

log = logging.getLogger("outbox.broker")


@dataclass(frozen=True, slots=True)
class Hint:
    """Which rows of a consumer are worth a look."""

    consumer: str
    ids: tuple[int, ...]


class BrokerConnection(ConfirmingConnection):
    """The connection of a thread that sends hints."""

    def __init__(self) -> None:
        super().__init__()
        self._producer: Producer | None = None
        self._address = self._tried = ""
        self._declared: set[str] = set()
        self.dead_letters_refused: BrokerRefuses | None = None
        """Why there is no queue for dead letters. Hints go their way without it."""
        self._dropped = DroppedHints()
        self.trouble = ""
        """Why the last hints were not taken; empty if they were."""
        self.alarmed = False
        """Whether RabbitMQ has said, since its last confirms, that it takes nothing: its memory or disk is full."""
        self._outstanding: dict[int, tuple[str, Hint]] = {}
        self._refused: dict[str, Hint] = {}

    def depth(self, consumer: str) -> int:
        """Return how many hints wait in the consumer's queue, which is made if it does not exist.

        Asked on the publishing connection, so that a memory alarm shows here. Raises ``BrokerAway``, and
        ``BrokerRefuses`` if only this queue, or we, are not welcome.
        """
        idle = self._was_idle
        try:
            self._open()
            if idle:
                self._be_patient_with_idle()
            depth = self._ask_for_depth(consumer)
            if idle:
                self._be_patient()
        except (BrokerRefuses, BrokerDistrusted):
            raise
        except self._errors() as error:
            self.abandon()
            if idle:
                log.info("the idle connection to the broker was gone; a new one is opened: %r", error)
                return self.depth(consumer)
            raise BrokerAway(f"the broker did not answer for {queue_name(consumer)}: {self._why(error)}") from error
        self._used_at = monotonic()
        return depth

    def send(self, hints: Sequence[Hint]) -> list[Hint]:
        """Send the hints and return those that the broker has not surely taken.

        Waits for all confirms together, at most ``confirm_timeout``. Refused and unroutable hints count as not taken,
        and so does everything still open when the connection breaks; if it had been idle, a new one is tried first.
        """
        published = 0
        if not hints:
            return []
        idle = self._was_idle
        try:
            self._open()
            for hint in hints:
                self._publish(hint)
                published += 1
            self._await_confirms()
        except self._errors() as error:
            unconfirmed = [hint for _task, hint in self._outstanding.values()]
            missing = [*hints[published:], *unconfirmed, *self._refused.values()]
            if idle:
                log.info("the idle connection to the broker was gone; a new one is opened: %r", error)
                self.abandon()
                return self.send(missing)
            self.trouble = self._why(error)
            log.warning("the broker took %d of %d hints: %s", len(hints) - len(missing), len(hints), self.trouble)
            self.abandon()
            return missing
        self._used_at = monotonic()
        self.trouble, self.alarmed = "", False
        refused = list(self._refused.values())
        if refused:
            # The queue was deleted under us; a new channel finds that out before the next send.
            self.close()
        return refused

    def read_dead_letters(self, *, discarded: Collection[str] = (), known: int = 0) -> Letters | None:
        """Return what there is of dead letters, if that has changed; an open connection is asked.

        What the broker has dropped is taken off and kept for ``dropped``, and so is what was ``discarded``. Of those
        that stay so many are ``known``.
        """
        in_use = self.is_open and not self._was_idle
        if not (in_use and self._confirms and self.dead_letters_refused is None):
            return None
        queue = dead_letter_queue().name
        try:
            return self._dropped.read(
                self._channel, queue, discarded=discarded, known=known, renew=lambda copy: self._renew(copy, queue)
            )
        except self._errors() as error:
            # Whoever sends next says what is the matter.
            log.info("the dead letters could not be read: %r", error)
            self.abandon()
        return None

    def _renew(self, copy: Any, queue: str) -> None:
        """Put a letter into its queue, and wait until the broker has it."""
        channel: Any = self._connection_of().transport.create_channel(self._wire)
        channel.basic_publish_confirm(copy, exchange="", routing_key=queue)
        channel.close()

    def dropped(self) -> dict[str, dict[str, str]]:
        """Return by queue why the broker has dropped its hints within the last minute, as far as letters were read."""
        vhost = self._connection.virtual_host if self._connection is not None else ""
        return {
            queue: {"reason": reason, "vhost": vhost or "/"} for queue, reason in sorted(self._dropped.recent().items())
        }

    def _open(self) -> bool:
        is_new = super()._open()
        if is_new:
            self._address = self._tried
            self._producer = Producer(self._channel, auto_declare=False)
            self._declare_dead_letters()
        return is_new

    def _candidates(self) -> Iterator[Connection]:
        """Yield the connection at the address that worked last, or else at the others of the list in turn."""
        # With the host's confirm_publish, kombu would wait for each confirm itself and take ours away.
        connection = self._connection = celery_app().connection_for_write(
            connect_timeout=conf().connect_timeout.total_seconds(),
            heartbeat=0,
            transport_options={"confirm_publish": False, "on_blocked": self._on_alarm},
        )
        current, addresses = "", list(connection.alt)
        if addresses:
            current = addresses[0]
            addresses.sort(key=lambda address: address != self._address)
        # A single address is none of the alternatives.
        for address in addresses or [current]:
            if address != current:
                connection.switch(address)
                current = address
            self._tried = address
            yield connection

    def _ask_for_depth(self, consumer: str) -> int:
        queue = hint_queue(consumer)
        self._declare_dead_letters()
        if queue.name in self._declared:
            try:
                return self._count(queue)
            except self._connection_of().channel_errors:
                # Deleted under us; the channel is closed as well.
                self.close()
                self._open()
        self._declare(queue)
        return self._count(queue)

    def _declare_dead_letters(self) -> None:
        """Declare the queue for dead letters; if it was refused, once more with each look at another queue."""
        queue = dead_letter_queue()
        if queue.name in self._declared:
            return
        try:
            self._declare(queue)
        except BrokerRefuses as error:
            if self.dead_letters_refused is None:
                log.error("%s", error)
            self.dead_letters_refused = error
        else:
            self.dead_letters_refused = None

    def _count(self, queue: EngineQueue) -> int:
        return int(self._channel.queue_declare(queue=queue.name, passive=True).message_count)

    def _declare(self, queue: EngineQueue) -> None:
        """Declare the queue, on a channel of its own, which the broker closes if it refuses."""
        if not self._confirms:
            queue(self._channel).declare()
            self._declared.add(queue.name)
            return
        connection = self._connection_of()
        channel: Any = connection.transport.create_channel(self._wire)
        try:
            queue(channel).declare()
        except connection.channel_errors as error:
            raise refusal_of(queue.name, connection, error) from error
        finally:
            channel.close()
        self._declared.add(queue.name)

    def _publish(self, hint: Hint) -> None:
        entry = registry.get(hint.consumer)
        task_id = str(uuid4())
        celery_app().send_task(
            DELIVER_TASK,
            args=[hint.consumer, list(hint.ids)],
            task_id=task_id,
            exchange="",  # whatever a route of the host's says
            queue=hint_queue(hint.consumer),  # type: ignore[arg-type]  # the stubs know only names
            producer=self._producer,
            declare=[],
            mandatory=True,
            retry=False,
            add_to_parent=False,
            serializer="json",
            delivery_mode=2,
            ignore_result=True,
            time_limit=ceil(entry.time_limit.total_seconds()) if entry else None,
        )
        if self._confirms:
            self._tag += 1
            self._outstanding[self._tag] = task_id, hint

    def _await_confirms(self) -> None:
        deadline = monotonic() + conf().confirm_timeout.total_seconds()
        while self._outstanding:
            remaining = deadline - monotonic()
            if remaining <= 0:
                raise TimeoutError(f"{len(self._outstanding)} hints were not confirmed in time")
            self._wire.blocking_read(remaining)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for settled in tags_of(tag, multiple, self._outstanding):
            self._outstanding.pop(settled, None)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for settled in tags_of(tag, multiple, self._outstanding):
            if settled in self._outstanding:
                task_id, hint = self._outstanding.pop(settled)
                self._refused[task_id] = hint
                self._dropped.note(queue_name(hint.consumer), "full")

    def _on_alarm(self, _reason: str) -> None:
        self.alarmed = True

    def _on_return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        """Note an unroutable hint; the broker acknowledges it as well, right after."""
        task_id = message.properties.get("correlation_id")
        for sent_as, hint in self._outstanding.values():
            if sent_as == task_id:
                self._refused[task_id] = hint

    def _connection_of(self) -> Connection:
        return cast(Connection, self._connection)

    def _why(self, error: BaseException) -> str:
        """Return why the broker did not take something, in words."""
        self.alarmed = self.alarmed and self._wire is not None
        if self.alarmed:
            return ALARM
        return str(error) if isinstance(error, BrokerAway) else repr(error)

    def _errors(self) -> tuple[type[BaseException], ...]:
        """Return what a broker in trouble may raise; a refused connection is none of kombu's recoverable errors."""
        own: tuple[type[BaseException], ...] = (OSError, OperationalError, BrokerAway)
        if self._connection is None:
            return own
        return (*own, *self._connection.connection_errors, *self._connection.channel_errors)

    def _forget(self) -> None:
        super()._forget()
        self._producer = None
        self._outstanding, self._refused = {}, {}
        self._declared = set()
