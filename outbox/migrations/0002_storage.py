"""How PostgreSQL stores the message table: room for HOT updates, and vacuum by count instead of by share."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Fillfactor 45: 100 % of the updates pending -> started were HOT (50: 87 %, 100: 8 %), measured with 400-byte payloads.
STORAGE = """
ALTER TABLE outbox_message SET (
    fillfactor = 45,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
)
"""
DEFAULTS = """
ALTER TABLE outbox_message RESET (
    fillfactor,
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold,
    autovacuum_vacuum_cost_delay
)
"""


def store_for_updates(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Set the storage parameters on PostgreSQL; other databases have none."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(STORAGE)


def store_as_usual(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the storage parameters back."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(DEFAULTS)


class Migration(migrations.Migration):
    """Storage parameters of the message table."""

    dependencies = [("outbox", "0001_initial")]

    operations = [migrations.RunPython(store_for_updates, store_as_usual)]
