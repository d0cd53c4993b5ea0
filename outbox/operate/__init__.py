"""Everything an operator can do: checked for permission, done by compare-and-set, written to the audit with the act.

Each act takes what the operator has seen (the ``revision`` of a message or a failure group, the pause of a consumer),
the ``actor`` (a Django user, whose permission is checked, or the name of whoever ran a command, who has the database
anyway), a ``reason`` and the ``origin`` (an IP address, or the command). It returns the row as it is afterwards.

Every act raises ``NotAllowed`` if the permission, the reason or the row's state does not permit it, and ``Conflict`` if
the row was changed since the operator looked. Both say in plain words what to do.
"""

from outbox.operate.consumers import pause, resume, why_held_back
from outbox.operate.failures import set_group
from outbox.operate.messages import discard, mark_handled, reopen, retry, reveal
from outbox.operate.operator_action import Actor, Person, check_reason

__all__ = [
    "Actor",
    "Person",
    "check_reason",
    "discard",
    "mark_handled",
    "pause",
    "reopen",
    "resume",
    "retry",
    "reveal",
    "set_group",
    "why_held_back",
]
