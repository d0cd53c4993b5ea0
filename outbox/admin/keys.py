"""The keys of the desk: one for every act. A key leads to the act, and Enter does it."""

from collections.abc import Mapping

from outbox.operate.actions import Action

TAKE, FOLLOW_UP, STOP_REHEARSAL = "take", "follow_up", "stop_rehearsal"
"""What can be done that is no act of its own in the audit."""
KEYS: Mapping[str, str] = {
    Action.RETRY: "r",
    Action.EDIT: "e",
    Action.HANDLE: "h",
    Action.DISCARD: "d",
    Action.REOPEN: "o",
    Action.ACKNOWLEDGE: "a",
    Action.HURRY: "m",
    Action.WITHDRAW: "w",
    Action.REPLAY: "p",
    Action.ASK: "q",
    Action.NOTE: "i",
    Action.MERGE: "m",
    Action.SPLIT: "o",
    Action.REHEARSE: "t",
    Action.REVEAL: "v",
    Action.TOKEN_REVOKE: "d",
    Action.DISCARD_LETTERS: "d",
    Action.HALF_PUBLISH: "p",
    Action.HALF_TAKE_BACK: "d",
    Action.HALF_ASK: "q",
    Action.TAKE_IN: "t",
    Action.DISCARD_QUARANTINED: "d",
    Action.PAUSE: "p",
    Action.RESUME: "g",
    Action.TRIAGE: "s",
    Action.BULK_START: "s",
    Action.BULK_APPROVE: "a",
    Action.BULK_PAUSE: "p",
    Action.BULK_RESUME: "g",
    Action.BULK_CANCEL: "c",
    Action.CLOSE_GAP: "c",
    Action.CLOSE_DAY: "c",
    Action.EXPLAIN: "e",
    Action.SAVE_VIEW: "s",
    Action.RENAME_VIEW: "r",
    Action.DELETE_VIEW: "d",
    TAKE: "i",
    FOLLOW_UP: "f",
    STOP_REHEARSAL: "e",
}
"""By act. Acts of one page have keys of their own, and none has one of the lists (j, k, x, n, u, ?, /, [, ]).

Where a page offers an act several times, as for each row of a list, the key leads from one to the next.
"""


def key_of_all(verb: str) -> str:
    """Return the key of an act on all that match: that of the act on one, with the shift key."""
    return KEYS[Action(verb)].upper()
