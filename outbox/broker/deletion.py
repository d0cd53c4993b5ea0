"""Finding queues and deleting them, when a project does without the outbox."""

from outbox.broker.lookout import Lookout, QueueLook
from outbox.errors import BrokerRefuses

NOT_THERE = 404


class QueueDeletion(Lookout):
    """A connection that finds queues and deletes them. It makes none, not even that of dead letters."""

    def find(self, queue: str) -> QueueLook | None:
        """Return what is known of the queue, or None if it is not there.

        Raises ``BrokerAway``, and ``BrokerRefuses`` if we, or only this queue, are not welcome.
        """
        try:
            with self._asking(queue):
                self._open()
                return self._look(queue)
        except BrokerRefuses as refusal:
            if refusal.details["code"] == NOT_THERE:
                return None
            raise

    def delete(self, queue: str) -> None:
        """Delete the queue with what is in it; raises what ``find`` raises."""
        with self._asking(queue):
            self._open()
            self._channel.queue_delete(queue=queue)

    def _declare_dead_letters(self) -> None:
        """Make nothing."""
