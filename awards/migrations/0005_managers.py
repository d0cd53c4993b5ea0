"""A group to begin with, for people who run campaigns; what a host changes in it afterwards stays as it is."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

NAME = "Campaign manager"
PERMISSIONS = [
    "add_campaign",
    "change_campaign",
    "view_campaign",
    "add_prize",
    "change_prize",
    "delete_prize",
    "view_prize",
    "change_stock",
    "view_stockchange",
    "keep_codes",
    "view_coupon",
    "view_award",
    "revoke_award",
    "view_draw",
    "view_pointsentry",
    "view_pointsaccount",
    "view_vendororder",
]


def make_group(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the group and give it its permissions, which Django itself would only make after all migrations."""
    using = schema_editor.connection.alias
    if not router.allow_migrate(using, "auth", model_name="group"):
        return
    create_permissions(installed.get_app_config("awards"), verbosity=0, using=using, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    group, _made = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=NAME)
    group.permissions.add(*permissions.filter(content_type__app_label="awards", codename__in=PERMISSIONS))


class Migration(migrations.Migration):
    """Campaign manager."""

    dependencies = [
        ("awards", "0004_storage_of_counts"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_group, migrations.RunPython.noop)]
