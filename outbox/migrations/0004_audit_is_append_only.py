"""PostgreSQL itself refuses to change or delete an audit entry: a second guard beside the hash chain."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Row-level only, so that TRUNCATE still empties test databases. Whoever owns the table can switch it off: the chain
# then shows what was done.
GUARD = """
CREATE FUNCTION outbox_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'outbox_auditentry is append-only: entry % can be neither changed nor deleted', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER outbox_auditentry_append_only BEFORE UPDATE OR DELETE ON outbox_auditentry
    FOR EACH ROW EXECUTE FUNCTION outbox_refuse_audit_change();
"""
NO_GUARD = """
DROP TRIGGER outbox_auditentry_append_only ON outbox_auditentry;
DROP FUNCTION outbox_refuse_audit_change();
"""


def guard(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Put the trigger on, where the database is PostgreSQL."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(GUARD, params=None)


def unguard(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the trigger off."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(NO_GUARD, params=None)


class Migration(migrations.Migration):
    """Refuse UPDATE and DELETE on the audit."""

    dependencies = [("outbox", "0003_groups")]

    operations = [migrations.RunPython(guard, unguard)]
