"""A handler that guards its effect, and what becomes of its message."""

from django.db.models.functions import Now

from outbox import operate
from outbox.contrib.redis_guard import once
from outbox.delivery import chunks
from outbox.models import Message


class Vendor:
    """Counts its calls; raises what it is told to, after that."""

    def __init__(self, *errors):
        self.calls, self.errors, self.skipped = 0, list(errors), 0

    def __call__(self, message):
        with once(message) as is_mine:
            if not is_mine:
                self.skipped += 1
                return
            self.calls += 1
            if self.errors and (error := self.errors.pop(0)):
                raise error


class ConnectError(Exception):
    """As an HTTP library names it."""


def guarded(listen, vendor):
    return listen(vendor, atomic=False)


def try_again(id, name="test.till"):
    """Let the next attempt come at once."""
    Message.objects.filter(pk=id, status="pending").update(due_at=Now(), not_before=Now())
    chunks.deliver(name, [id])


def retry_by_hand(id):
    message = Message.objects.get(pk=id)
    operate.retry(id, revision=message.revision, actor="ada", reason="it was not sent", asked_other_side=True)
