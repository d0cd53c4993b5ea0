"""The database is made unable to do our work, or only looks as if it were."""

from contextlib import contextmanager

import psycopg2
from django.db import connection

from outbox import Backoff
from tests.harness.messages import MessageState
from tests.harness.threads import in_thread

ONCE = Backoff(limit=1)
DONE = MessageState("success", attempts=1, attempt_limit=1)
FREE = MessageState("pending", attempts=1, attempt_limit=2)
DOWN = ["08006", "25006", "53100", "53300", "57P01", "57P03", "58030"]
OWN_STATE = "outbox_consumerstate"


def raise_state(code):
    with connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$")


def run_sql(*statements):
    """Run statements from beside, on no session of the engine's, nor on this database."""
    settings = connection.settings_dict
    outside = psycopg2.connect(
        dbname="postgres",
        host=settings["HOST"],
        port=settings["PORT"] or None,
        user=settings["USER"],
        password=settings["PASSWORD"],
    )
    outside.autocommit = True
    with outside.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(name=f'"{settings["NAME"]}"'))
    outside.close()


@contextmanager
def refusing(table, code):
    """Have the server refuse every change of the table, even one of no rows."""
    planted = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse()"""
    with connection.cursor() as cursor:
        cursor.execute(planted)
    try:
        yield
    finally:
        allow()


def allow():
    in_thread(lambda: connection.cursor().execute("DROP FUNCTION IF EXISTS refuse CASCADE"))


def terminate_from_outside(pid):
    run_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
