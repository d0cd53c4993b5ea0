"""Four groups to begin with; what a host changes in them afterwards stays as it is."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

VIEWER = ["view_message", "view_attempt", "view_consumerstate", "view_pulse"]
OPERATOR = [*VIEWER, "view_payload", "retry_message", "resolve_message"]
LEAD = [
    *OPERATOR,
    "discard_message",
    "edit_payload",
    "bulk_message",
    "approve_bulk",
    "export_message",
    "pause_consumer",
    "view_audit",
]
AUDITOR = [*VIEWER, "export_message", "view_audit"]
GROUPS = {"Viewer": VIEWER, "Operator": OPERATOR, "Lead": LEAD, "Auditor": AUDITOR}


def make_groups(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the groups and give them their permissions, which Django itself would only make after all migrations."""
    using = schema_editor.connection.alias
    if not router.allow_migrate(using, "auth", model_name="group"):
        return
    create_permissions(installed.get_app_config("outbox"), verbosity=0, using=using, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    groups = apps.get_model("auth", "Group").objects.using(using)
    for name, codenames in GROUPS.items():
        group, _made = groups.get_or_create(name=name)
        group.permissions.add(*permissions.filter(content_type__app_label="outbox", codename__in=codenames))


class Migration(migrations.Migration):
    """Viewer, Operator, Lead and Auditor."""

    dependencies = [
        ("outbox", "0002_storage"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
