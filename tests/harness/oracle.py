"""The oracle: reads the tables and a history that a trigger keeps, and names every invariant that is broken."""

from pathlib import Path
from typing import Any

HISTORY = """
CREATE TABLE fault_history (
    id bigserial PRIMARY KEY, message_id bigint, at timestamptz DEFAULT clock_timestamp(),
    was text, became text, attempts_were int, attempts_became int
);
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fault_history (message_id, was, became, attempts_were, attempts_became)
    VALUES (NEW.id, OLD.status, NEW.status, OLD.attempts, NEW.attempts);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_history AFTER UPDATE ON outbox_message FOR EACH ROW
WHEN (OLD.status <> NEW.status OR OLD.attempts <> NEW.attempts) EXECUTE FUNCTION keep_history();
"""
"""What a template database gets, so that no change of status goes unseen."""

ATOMIC = "m.consumer LIKE 'shop.%%' AND m.consumer <> 'shop.order'"

BUSINESS = {
    "I1: a business row without its message": """
        SELECT t.name FROM shop_tag t WHERE t.name LIKE 'sold %%'
        AND NOT EXISTS (SELECT 1 FROM outbox_message m WHERE 'sold ' || m.key = t.name)""",
    "I4: an effect more than once": f"""
        SELECT m.key, m.consumer, count(*) FROM shop_effect e JOIN outbox_message m ON m.id = e.message_id
        WHERE {ATOMIC} GROUP BY m.id, m.key, m.consumer HAVING count(*) > 1""",
    "I4: success without its effect": f"""
        SELECT m.key, m.consumer, m.attempts FROM outbox_message m WHERE {ATOMIC} AND m.status = 'success'
        AND NOT EXISTS (SELECT 1 FROM shop_effect e WHERE e.message_id = m.id AND e.attempt = m.attempts)""",
    "I4: an effect without success": f"""
        SELECT m.key, m.consumer, m.status FROM outbox_message m WHERE {ATOMIC} AND m.status <> 'success'
        AND EXISTS (SELECT 1 FROM shop_effect e WHERE e.message_id = m.id)""",
}
"""What holds on every database."""

WATCHED = {
    "I5: a success that did not last": """
        SELECT h.message_id, h.became FROM fault_history h WHERE h.was = 'success'""",
    "I5: attempts that fell, or grew without a start": """
        SELECT h.message_id, h.was, h.became, h.attempts_were, h.attempts_became FROM fault_history h
        WHERE h.attempts_became <> h.attempts_were + CASE WHEN h.became = 'started' THEN 1 ELSE 0 END""",
    "I5: a success that was not started": """
        SELECT h.message_id, h.was FROM fault_history h WHERE h.became = 'success' AND h.was <> 'started'""",
    "I7: idle in transaction": """
        SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database()
        AND state LIKE 'idle in transaction%%' AND state_change < clock_timestamp() - interval '10 seconds'""",
    "I7: started, and nobody's": """
        SELECT m.key, m.worker FROM outbox_message m
        WHERE m.status = 'started' AND m.lease_until < clock_timestamp() - interval '60 seconds'""",
}
"""What a trigger and PostgreSQL's own views can tell."""


def broken(installation: Any, *, watched: bool = True) -> dict[str, list[Any]]:
    """Return the invariants that are broken, with the rows that show it; nothing if all hold."""
    questions = BUSINESS | (WATCHED if watched else {})
    return {name: rows for name, sql in questions.items() if (rows := installation.rows(sql))}


def lost_from(journal: Path, installation: Any) -> set[str]:
    """Return the keys that a client was told are safe and that are not in the table (I2)."""
    acknowledged = set(journal.read_text().splitlines())
    return acknowledged - {key for (key,) in installation.rows("SELECT key FROM outbox_message")}
