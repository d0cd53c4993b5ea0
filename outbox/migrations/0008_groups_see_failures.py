"""The groups that stand ready may see failure groups, and those who act may write down what is done about them."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SEES = ["view_failuregroup"]
ACTS = [*SEES, "change_failuregroup"]
GROUPS = {"Viewer": SEES, "Operator": ACTS, "Lead": ACTS, "Auditor": SEES}


def add_permissions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the permissions to the groups that are still there; what a host removed stays removed."""
    using = schema_editor.connection.alias
    if not router.allow_migrate(using, "auth", model_name="group"):
        return
    create_permissions(installed.get_app_config("outbox"), verbosity=0, using=using, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for group in apps.get_model("auth", "Group").objects.using(using).filter(name__in=GROUPS):
        group.permissions.add(*permissions.filter(content_type__app_label="outbox", codename__in=GROUPS[group.name]))


class Migration(migrations.Migration):
    """Who sees and who triages kinds of failures."""

    dependencies = [("outbox", "0007_watching")]

    operations = [migrations.RunPython(add_permissions, migrations.RunPython.noop)]
