"""Room for HOT updates on the pages of the statistics, which grow with every chunk of awards."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_room(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Set the fillfactor on PostgreSQL; other databases have none."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE awards_dailystatistic SET (fillfactor = 50)")


def store_as_usual(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the fillfactor back."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE awards_dailystatistic RESET (fillfactor)")


class Migration(migrations.Migration):
    """Storage parameters of the statistics."""

    dependencies = [("awards", "0003_coupons_and_counts")]

    operations = [migrations.RunPython(leave_room, store_as_usual)]
