"""What somebody can do to the audit who owns the table, and at which entry each of it shows."""

from collections.abc import Callable, Mapping, Sequence

from tests.outbox.audit.entries import as_its_owner

WHERE: Mapping[str, int] = {"at the start": 0, "in the middle": 3, "at the end": -1}
"""Which of seven entries it is done to."""
FORGED = """
INSERT INTO outbox_auditentry (
    id, at, actor, origin, action, message_id, subject, before, after, reason, salt, texts_digest, previous, digest
)
SELECT {id}, at, actor, origin, action, message_id, subject, before, after, reason, salt, texts_digest, 'forged', digest
FROM outbox_auditentry WHERE id = {like}
"""


def spread_out(ids: Sequence[int]) -> list[int]:
    """Leave room between the ids, as rolled back transactions do."""
    as_its_owner("UPDATE outbox_auditentry SET id = id * 100")
    return [id * 100 for id in ids]


def change(ids: Sequence[int], at: int) -> int | None:
    """Change what an entry says."""
    as_its_owner(f"UPDATE outbox_auditentry SET reason = 'nothing happened' WHERE id = {ids[at]}")
    return ids[at]


def remove(ids: Sequence[int], at: int) -> int | None:
    """Remove an entry. That the last is gone cannot be seen from the chain alone."""
    as_its_owner(f"DELETE FROM outbox_auditentry WHERE id = {ids[at]}")
    return None if at == -1 else ids[at + 1]


def reorder(ids: Sequence[int], at: int) -> int | None:
    """Let an entry and the one beside it change places."""
    first, second = (ids[-2], ids[-1]) if at == -1 else (ids[at], ids[at + 1])
    as_its_owner(f"UPDATE outbox_auditentry SET id = 1 WHERE id = {first}")
    as_its_owner(f"UPDATE outbox_auditentry SET id = {first} WHERE id = {second}")
    as_its_owner(f"UPDATE outbox_auditentry SET id = {second} WHERE id = 1")
    return first


def insert(ids: Sequence[int], at: int) -> int | None:
    """Put in an entry like another, before the first or behind one."""
    id = ids[0] - 50 if at == 0 else ids[at] + 50
    as_its_owner(FORGED.format(id=id, like=ids[at]))
    return id


TAMPERINGS: Mapping[str, Callable[[Sequence[int], int], int | None]] = {
    "changed": change,
    "removed": remove,
    "reordered": reorder,
    "inserted": insert,
}
