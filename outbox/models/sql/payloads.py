"""Writing many payloads by one statement, and keeping those that they had before."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections

from outbox.conf import conf
from outbox.models.sql.clock import clock_of
from outbox.models.sql.conditions import as_parameter

KEEP = """
INSERT INTO outbox_payloadversion (message_id, revision, payload, drawn_key, edited_by, edited_at)
SELECT id, revision, payload, drawn_key, %s, {now} FROM outbox_message WHERE {named}
"""
NAMED = {"postgresql": "id = ANY(%s)", "sqlite": "id IN (SELECT value FROM json_each(%s))"}
WRITE = {
    "postgresql": """
        UPDATE outbox_message AS message SET payload = made.payload
        FROM jsonb_to_recordset(%s::jsonb) AS made (id bigint, payload jsonb) WHERE message.id = made.id
    """,
    "sqlite": """
        UPDATE outbox_message SET payload = made.payload
        FROM (
            SELECT json_extract(value, '$.id') AS id, json_extract(value, '$.payload') AS payload FROM json_each(%s)
        ) AS made
        WHERE outbox_message.id = made.id
    """,
}


def keep_payloads(message_ids: Sequence[int], *, edited_by: str) -> None:
    """Keep the payloads of these messages as they are now, each with its revision and idempotency key."""
    if not message_ids:
        return
    connection = connections[conf().database]
    sql = KEEP.format(now=clock_of(connection).now, named=NAMED[connection.vendor])
    with connection.cursor() as cursor:
        cursor.execute(sql, [edited_by, as_parameter(message_ids, connection)])


def write_payloads(payloads: Mapping[int, Any]) -> None:
    """Give messages other payloads, by id. On SQLite each is given as text, as Django keeps JSON there."""
    if not payloads:
        return
    connection = connections[conf().database]
    as_text = connection.vendor == "sqlite"
    rows = [
        {"id": id, "payload": json.dumps(payload, ensure_ascii=False) if as_text else payload}
        for id, payload in payloads.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(WRITE[connection.vendor], [json.dumps(rows, ensure_ascii=False)])
