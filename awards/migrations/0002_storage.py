"""How PostgreSQL stores the rows that change after they are written: with room for HOT updates on their own page."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# An award changes once (won -> issued); accounts, stocks and participations change for as long as a campaign runs.
FILLFACTORS = {"awards_award": 70, "awards_participation": 70, "awards_pointsaccount": 70, "awards_prize": 50}


def leave_room(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Set the fillfactors on PostgreSQL; other databases have none."""
    if schema_editor.connection.vendor == "postgresql":
        for table, fillfactor in FILLFACTORS.items():
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {fillfactor})")


def store_as_usual(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the fillfactors back."""
    if schema_editor.connection.vendor == "postgresql":
        for table in FILLFACTORS:
            schema_editor.execute(f"ALTER TABLE {table} RESET (fillfactor)")


class Migration(migrations.Migration):
    """Storage parameters of the tables that are updated."""

    dependencies = [("awards", "0001_initial")]

    operations = [migrations.RunPython(leave_room, store_as_usual)]
