"""PostgreSQL refuses a COMMIT while rows are locked and not settled: a handler's own, in the transaction of its chunk."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Unlogged, for a row lives no longer than its transaction. A handler may set constraints immediate: the trigger fires
# then, lets it pass, and does not fire again. It runs as its owner, and with its owner's search path, for a handler may
# have changed both for its transaction.
GUARD = """
CREATE UNLOGGED TABLE outbox_unsettled (number bigint PRIMARY KEY);
CREATE FUNCTION outbox_refuse_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    IF current_query() ~* '\\m(commit|end|prepare)\\M'
        AND EXISTS (SELECT FROM outbox_unsettled WHERE number = NEW.number)
    THEN
        RAISE EXCEPTION 'a handler must not commit: its effect would no longer hang together with its success'
            USING ERRCODE = 'invalid_transaction_termination', HINT = 'Use transaction.atomic(), or atomic=False.';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER outbox_unsettled_refuse_commit AFTER INSERT ON outbox_unsettled
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION outbox_refuse_commit();
"""
NO_GUARD = """
DROP TABLE outbox_unsettled;
DROP FUNCTION outbox_refuse_commit();
"""


def guard(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the table and its trigger, where the database is PostgreSQL."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(GUARD, params=None)


def unguard(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take both away."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(NO_GUARD, params=None)


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]

    operations = [migrations.RunPython(guard, unguard)]
