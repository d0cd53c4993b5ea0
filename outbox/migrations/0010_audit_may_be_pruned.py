"""The audit's guard lets its oldest entries go, and only those that the pruning transaction has named."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# The name is a setting of the transaction: the last id that may go. Whoever sets it by hand can delete as well; the
# chain then lacks the note of it, and its check says so.
LET_GO = """
CREATE OR REPLACE FUNCTION outbox_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.id <= nullif(current_setting('outbox.prune_audit', true), '')::bigint THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'outbox_auditentry is append-only: entry % can be neither changed nor deleted', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$
"""
HOLD = """
CREATE OR REPLACE FUNCTION outbox_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'outbox_auditentry is append-only: entry % can be neither changed nor deleted', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$
"""


def let_go(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let the guard make its one exception, where the database is PostgreSQL."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(LET_GO, params=None)


def hold(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the exception back."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(HOLD, params=None)


class Migration(migrations.Migration):
    """Permit the pruning of the audit."""

    dependencies = [("outbox", "0009_keeping")]

    operations = [migrations.RunPython(let_go, hold)]
