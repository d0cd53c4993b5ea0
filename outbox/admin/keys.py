"""The keys of the desk: one for every act. A key leads to the act, and Enter does it."""

from outbox.operate.actions import Action

KEYS = {
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
    Action.REHEARSE: "t",
    Action.REVEAL: "v",
    Action.TOKEN_REVOKE: "d",
    Action.PAUSE: "p",
    Action.RESUME: "g",
    Action.TRIAGE: "s",
    Action.BULK_START: "s",
    Action.BULK_APPROVE: "a",
    Action.BULK_PAUSE: "p",
    Action.BULK_RESUME: "g",
    Action.BULK_CANCEL: "c",
}
"""By act. Acts of one page have keys of their own, and none has one of the lists (j, k, x, n, u, ?, /)."""


def key_of_all(verb: str) -> str:
    """Return the key of an act on all that match: that of the act on one, with the shift key."""
    return KEYS[Action(verb)].upper()
