"""What must hold after a storm."""

from typing import Any

from tests.harness.installation import Installation
from tests.harness.oracle import broken
from tests.storm.traffic import GUILTY

RECOVERY = 60
"""Seconds after a fault within which what is published then is done."""

MAY_HAVE_ACTED = "I4: an effect without success"
"""What the oracle says of a guilty message whose handler has committed its effect by itself."""

INNOCENT = f"m.key NOT LIKE '{GUILTY}%%'"
QUESTIONS = {
    "an innocent message without success": f"""
        SELECT m.key, m.consumer, m.status, m.reason, m.last_error FROM outbox_message m
        WHERE {INNOCENT} AND m.status <> 'success'""",
    "a guilty message with more than one effect": f"""
        SELECT m.id, m.key, m.payload, count(*) FROM outbox_message m JOIN shop_effect e ON e.message_id = m.id
        WHERE NOT {INNOCENT} GROUP BY m.id HAVING count(*) > 1""",
    "an innocent message with more than one effect": f"""
        SELECT m.id, m.key, m.reason, array_agg(e.attempt), array_agg(e.pid), array_agg(e.at)
        FROM outbox_message m JOIN shop_effect e ON e.message_id = m.id
        WHERE {INNOCENT} AND m.consumer <> 'shop.order' GROUP BY m.id HAVING count(*) > 1""",
    "a guilty message that is not finished": f"""
        SELECT m.key, m.status, m.payload FROM outbox_message m
        WHERE NOT {INNOCENT} AND m.status NOT IN ('success', 'failed')""",
    "an effect out of order": """
        SELECT * FROM (
            SELECT m.ordering_key, m.id, lag(m.id) OVER (PARTITION BY m.ordering_key ORDER BY e.id) AS before
            FROM outbox_message m JOIN shop_effect e ON e.message_id = m.id WHERE m.ordering_key <> ''
        ) AS effects WHERE before > id""",
    "two of a key at once": """
        SELECT ordering_key, consumer, array_agg(DISTINCT worker) FROM outbox_message
        WHERE status = 'started' AND ordering_key <> '' GROUP BY 1, 2 HAVING count(DISTINCT worker) > 1""",
}


def verdict(installation: Installation, published: int) -> dict[str, list[Any]]:
    """Return what is broken, with the rows that show it."""
    found = broken(installation)
    committed = [row for row in found.pop(MAY_HAVE_ACTED, []) if not str(row[0]).startswith(GUILTY)]
    problems = {**found, **({MAY_HAVE_ACTED: committed} if committed else {})}
    for name, sql in QUESTIONS.items():
        if rows := installation.rows(sql):
            problems[name] = rows
    if (kept := installation.count("SELECT count(*) FROM outbox_message")) != published:
        problems["messages lost"] = [(kept, "of", published)]
    return problems
