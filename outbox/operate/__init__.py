"""Everything an operator can do: checked for permission, done by compare-and-set, written to the audit with the act.

Each act takes what the operator has seen (the ``revision`` of a message or a failure group, the pause of a consumer),
the ``actor`` (a Django user, whose permission is checked, or the name of whoever ran a command, who has the database
anyway), a ``reason`` and the ``origin`` (an IP address, or the command). It returns the row as it is afterwards.

Every act raises ``NotAllowed`` if the permission, the reason or the row's state does not permit it, and ``Conflict`` if
the row was changed since the operator looked. Both say in plain words what to do.
"""

from outbox.operate.asking import ask
from outbox.operate.consumers import pause, resume, why_held_back
from outbox.operate.dead_letters import discard_letters
from outbox.operate.edits import edit
from outbox.operate.erasure import erase
from outbox.operate.failures import merge_group, set_group, split_group
from outbox.operate.hurrying import hurry_many
from outbox.operate.messages import (
    acknowledge,
    discard,
    mark_handled,
    receivers_of_replays,
    reopen,
    replay,
    retry,
    reveal,
)
from outbox.operate.notes import set_note
from outbox.operate.operator_action import Actor, Person, check_reason
from outbox.operate.replays import replay_span
from outbox.operate.saved_views import delete_view, may_change_view, rename_view, save_view
from outbox.operate.waiting import hurry, withdraw

__all__ = [
    "Actor",
    "Person",
    "acknowledge",
    "ask",
    "check_reason",
    "delete_view",
    "discard",
    "discard_letters",
    "edit",
    "erase",
    "hurry",
    "hurry_many",
    "mark_handled",
    "may_change_view",
    "merge_group",
    "pause",
    "receivers_of_replays",
    "rename_view",
    "reopen",
    "replay",
    "replay_span",
    "resume",
    "retry",
    "reveal",
    "save_view",
    "set_group",
    "set_note",
    "split_group",
    "why_held_back",
    "withdraw",
]
