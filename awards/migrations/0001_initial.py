"""The tables of the business, room on their pages for rows that change, and a group for people who run campaigns.

What a host changes in the group afterwards stays as it is.
"""

import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.math
from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, models, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# An award changes once (won -> issued); accounts, stocks and participations change for as long as a campaign runs, and
# the statistics grow with every chunk of awards. A HOT update needs room on the row's own page.
FILLFACTORS = {
    "awards_award": 70,
    "awards_participation": 70,
    "awards_pointsaccount": 70,
    "awards_prize": 50,
    "awards_dailystatistic": 50,
}

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


def leave_room(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Set the fillfactors on PostgreSQL; other databases have none."""
    if schema_editor.connection.vendor == "postgresql":
        for table, fillfactor in FILLFACTORS.items():
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {fillfactor})")


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
    """All tables of the business."""

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(max_length=60, unique=True, verbose_name="address")),
                ("name", models.CharField(max_length=120, verbose_name="name")),
                ("description", models.TextField(blank=True, default="", max_length=2000, verbose_name="description")),
                ("starts_at", models.DateTimeField(verbose_name="begins")),
                ("ends_at", models.DateTimeField(verbose_name="ends")),
                (
                    "active",
                    models.BooleanField(
                        default=True, help_text="Switch off to stop all draws at once.", verbose_name="active"
                    ),
                ),
                (
                    "draws_per_person",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Leave empty for no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="draws per person",
                    ),
                ),
                (
                    "losing_weight",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="The weight of the losing ticket beside those of the prizes; 0 means that every draw wins.",
                        verbose_name="losing weight",
                    ),
                ),
                (
                    "restock_revoked",
                    models.BooleanField(
                        default=False,
                        help_text="When an award is revoked before anybody began to issue it, its piece can be won again.",
                        verbose_name="stock comes back",
                    ),
                ),
            ],
            options={
                "verbose_name": "campaign",
                "verbose_name_plural": "campaigns",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                        name="awards_campaign_ends_after_start",
                        violation_error_message="A campaign must end after it begins.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("draws_per_person__isnull", True), ("draws_per_person__gte", 1), _connector="OR"
                        ),
                        name="awards_campaign_limit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Draw",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="public id"),
                ),
                ("request_id", models.CharField(max_length=100, verbose_name="request id")),
                ("person", models.CharField(max_length=200, verbose_name="person")),
                ("digest", models.CharField(max_length=64, verbose_name="digest of the request")),
                (
                    "drawn_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="drawn"),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.campaign",
                        verbose_name="campaign",
                    ),
                ),
            ],
            options={
                "verbose_name": "draw",
                "verbose_name_plural": "draws",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Award",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="public id"),
                ),
                ("person", models.CharField(max_length=200, verbose_name="person")),
                (
                    "kind",
                    models.CharField(
                        choices=[("points", "points"), ("gift", "gift"), ("coupon", "coupon")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("value", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="value")),
                (
                    "vendor_sku",
                    models.CharField(blank=True, default="", max_length=64, verbose_name="vendor's article number"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("won", "won"),
                            ("issued", "issued"),
                            ("revoked", "revoked"),
                            ("expired", "expired"),
                            ("compensated", "compensated otherwise"),
                            ("cancelled", "cancelled"),
                        ],
                        default="won",
                        max_length=11,
                        verbose_name="status",
                    ),
                ),
                (
                    "closed_from",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("won", "won"),
                            ("issued", "issued"),
                            ("revoked", "revoked"),
                            ("expired", "expired"),
                            ("compensated", "compensated otherwise"),
                            ("cancelled", "cancelled"),
                        ],
                        db_default="",
                        default="",
                        max_length=11,
                        verbose_name="closed by hand from",
                    ),
                ),
                (
                    "stock_returned",
                    models.BooleanField(db_default=False, default=False, verbose_name="back in stock"),
                ),
                ("version", models.PositiveIntegerField(default=1, verbose_name="version")),
                (
                    "won_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="won at"),
                ),
                ("issued_at", models.DateTimeField(blank=True, null=True, verbose_name="issued at")),
                (
                    "draw",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="awards.draw", verbose_name="draw"
                    ),
                ),
            ],
            options={
                "verbose_name": "award",
                "verbose_name_plural": "awards",
                "permissions": [("revoke_award", "Can revoke awards")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Participation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("person", models.CharField(max_length=200, verbose_name="person")),
                ("draws", models.PositiveIntegerField(default=0, verbose_name="draws")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="awards.campaign",
                        verbose_name="campaign",
                    ),
                ),
            ],
            options={
                "verbose_name": "participation",
                "verbose_name_plural": "participations",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="PointsAccount",
            fields=[
                ("person", models.CharField(max_length=200, primary_key=True, serialize=False, verbose_name="person")),
                ("balance", models.BigIntegerField(default=0, verbose_name="balance")),
                (
                    "opened_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="opened"),
                ),
            ],
            options={
                "verbose_name": "points account",
                "verbose_name_plural": "points accounts",
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("balance__gte", 0)), name="awards_account_balance")
                ],
            },
        ),
        migrations.CreateModel(
            name="PointsEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("points", models.PositiveBigIntegerField(verbose_name="points")),
                (
                    "booked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="booked"),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.pointsaccount",
                        verbose_name="account",
                    ),
                ),
                (
                    "award",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="awards.award", verbose_name="award"
                    ),
                ),
            ],
            options={
                "verbose_name": "points entry",
                "verbose_name_plural": "points entries",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Prize",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[("points", "points"), ("gift", "gift"), ("coupon", "coupon")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "weight",
                    models.PositiveIntegerField(
                        default=1,
                        help_text="A prize of weight 2 is won twice as often as one of weight 1; 0 takes it out.",
                        verbose_name="weight",
                    ),
                ),
                (
                    "stock",
                    models.PositiveIntegerField(
                        blank=True, help_text="Leave empty for no limit.", null=True, verbose_name="stock"
                    ),
                ),
                (
                    "returns_to_stock",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="What an operator cancels or compensates otherwise can be won by somebody else.",
                        verbose_name="back in stock if not given out",
                    ),
                ),
                (
                    "value",
                    models.DecimalField(
                        decimal_places=2,
                        help_text="Points: how many. Gifts and coupons: what one is worth in money.",
                        max_digits=12,
                        validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                        verbose_name="value",
                    ),
                ),
                (
                    "vendor_sku",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Gifts only.",
                        max_length=64,
                        verbose_name="vendor's article number",
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="awards.campaign", verbose_name="campaign"
                    ),
                ),
            ],
            options={
                "permissions": [("change_stock", "Can change the stock of prizes")],
                "verbose_name": "prize",
                "verbose_name_plural": "prizes",
            },
        ),
        migrations.AddField(
            model_name="award",
            name="prize",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="awards.prize", verbose_name="prize"
            ),
        ),
        migrations.CreateModel(
            name="VendorOrder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(max_length=100, verbose_name="vendor's order number")),
                ("idempotency_key", models.CharField(max_length=64, verbose_name="idempotency key")),
                ("sku", models.CharField(max_length=64, verbose_name="vendor's article number")),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="recorded"),
                ),
                (
                    "award",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="awards.award", verbose_name="award"
                    ),
                ),
            ],
            options={
                "verbose_name": "vendor order",
                "verbose_name_plural": "vendor orders",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddIndex(
            model_name="draw",
            index=models.Index(fields=["person"], name="awards_draw_person_idx"),
        ),
        migrations.AddConstraint(
            model_name="draw",
            constraint=models.UniqueConstraint(fields=("campaign", "request_id"), name="awards_draw_once"),
        ),
        migrations.AddConstraint(
            model_name="draw",
            constraint=models.CheckConstraint(
                condition=models.Q(("person", ""), _negated=True), name="awards_draw_person"
            ),
        ),
        migrations.AddConstraint(
            model_name="participation",
            constraint=models.UniqueConstraint(fields=("campaign", "person"), name="awards_participation_once"),
        ),
        migrations.AddIndex(
            model_name="pointsentry",
            index=models.Index(fields=["account"], name="awards_entry_account_idx"),
        ),
        migrations.AddConstraint(
            model_name="pointsentry",
            constraint=models.CheckConstraint(condition=models.Q(("points__gte", 1)), name="awards_entry_points"),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.UniqueConstraint(fields=("campaign", "name"), name="awards_prize_name_once"),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["points", "gift", "coupon"])), name="awards_prize_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.CheckConstraint(
                condition=models.Q(("stock__isnull", True), ("stock__gte", 0), _connector="OR"),
                name="awards_prize_stock",
            ),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.CheckConstraint(condition=models.Q(("value__gte", 0)), name="awards_prize_value"),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "points"), _negated=True),
                    models.Q(("value", django.db.models.functions.math.Round("value")), ("value__gte", 1)),
                    _connector="OR",
                ),
                name="awards_prize_whole_points",
                violation_error_message="Points must be a whole number, at least 1.",
            ),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "gift"), ("vendor_sku__gt", "")),
                    models.Q(models.Q(("kind", "gift"), _negated=True), ("vendor_sku", "")),
                    _connector="OR",
                ),
                name="awards_prize_sku",
                violation_error_message="A gift needs the vendor's article number, and nothing else has one.",
            ),
        ),
        migrations.AddIndex(
            model_name="award",
            index=models.Index(fields=["person"], name="awards_award_person_idx"),
        ),
        migrations.AddConstraint(
            model_name="award",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["points", "gift", "coupon"])), name="awards_award_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="award",
            constraint=models.CheckConstraint(condition=models.Q(("value__gte", 0)), name="awards_award_value"),
        ),
        migrations.AddConstraint(
            model_name="award",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["won", "issued", "revoked", "expired", "compensated", "cancelled"])
                ),
                name="awards_award_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="award",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("issued_at__isnull", False), ("status", "issued")),
                    models.Q(
                        ("issued_at__isnull", True),
                        ("status__in", ["won", "revoked", "expired", "compensated", "cancelled"]),
                    ),
                    _connector="OR",
                ),
                name="awards_award_issued",
            ),
        ),
        migrations.AddConstraint(
            model_name="award",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("closed_from", ""), ("stock_returned", False)),
                    models.Q(
                        ("closed_from__in", ["won", "revoked", "expired"]),
                        ("status__in", ["issued", "compensated", "cancelled"]),
                    ),
                    _connector="OR",
                ),
                name="awards_award_closed",
            ),
        ),
        migrations.AddConstraint(
            model_name="vendororder",
            constraint=models.UniqueConstraint(fields=("number",), name="awards_order_number_once"),
        ),
        migrations.AddConstraint(
            model_name="vendororder",
            constraint=models.UniqueConstraint(fields=("idempotency_key",), name="awards_order_key_once"),
        ),
        migrations.AddConstraint(
            model_name="vendororder",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("number", ""), _negated=True), models.Q(("idempotency_key", ""), _negated=True)
                ),
                name="awards_order_named",
            ),
        ),
        migrations.CreateModel(
            name="Coupon",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=64, verbose_name="code")),
                (
                    "added_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="added"),
                ),
                ("issued_at", models.DateTimeField(blank=True, null=True, verbose_name="issued at")),
            ],
            options={
                "verbose_name": "coupon",
                "verbose_name_plural": "coupons",
                "permissions": [("keep_codes", "Can add and withdraw codes")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="DailyStatistic",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(verbose_name="day")),
                ("won", models.PositiveIntegerField(default=0, verbose_name="won")),
                ("value", models.DecimalField(decimal_places=2, default=0, max_digits=20, verbose_name="value")),
                ("revoked", models.PositiveIntegerField(default=0, verbose_name="revoked")),
            ],
            options={
                "verbose_name": "daily statistic",
                "verbose_name_plural": "daily statistics",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="StockChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "act",
                    models.CharField(
                        choices=[("add", "add"), ("remove", "remove"), ("limit", "limit to"), ("unlimit", "no limit")],
                        max_length=7,
                        verbose_name="act",
                    ),
                ),
                ("pieces", models.PositiveIntegerField(blank=True, null=True, verbose_name="pieces")),
                ("reason", models.CharField(max_length=300, verbose_name="reason")),
                ("actor", models.CharField(max_length=150, verbose_name="by whom")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="when")),
                ("request_id", models.UUIDField(editable=False, unique=True, verbose_name="request id")),
            ],
            options={
                "verbose_name": "stock change",
                "verbose_name_plural": "stock changes",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="coupon",
            name="award",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="awards.award",
                verbose_name="award",
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="prize",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, to="awards.prize", verbose_name="prize"
            ),
        ),
        migrations.AddField(
            model_name="dailystatistic",
            name="prize",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, to="awards.prize", verbose_name="prize"
            ),
        ),
        migrations.AddField(
            model_name="stockchange",
            name="prize",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, to="awards.prize", verbose_name="prize"
            ),
        ),
        migrations.AddIndex(
            model_name="coupon",
            index=models.Index(
                condition=models.Q(("award__isnull", True)), fields=["prize", "id"], name="awards_coupon_free_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.UniqueConstraint(fields=("prize", "code"), name="awards_coupon_code_once"),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(("code", ""), _negated=True), name="awards_coupon_code"
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("award__isnull", True), ("issued_at__isnull", True)),
                    models.Q(("award__isnull", False), ("issued_at__isnull", False)),
                    _connector="OR",
                ),
                name="awards_coupon_issued",
            ),
        ),
        migrations.AddConstraint(
            model_name="dailystatistic",
            constraint=models.UniqueConstraint(fields=("prize", "day"), name="awards_dailystatistic_once"),
        ),
        migrations.AddIndex(
            model_name="stockchange",
            index=models.Index(fields=["prize", "id"], name="awards_stockchange_prize_idx"),
        ),
        migrations.AddConstraint(
            model_name="stockchange",
            constraint=models.CheckConstraint(
                condition=models.Q(("act__in", ["add", "remove", "limit", "unlimit"])), name="awards_stockchange_act"
            ),
        ),
        migrations.AddConstraint(
            model_name="stockchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("act", "unlimit"), ("pieces__isnull", True)),
                    models.Q(("act", "limit"), ("pieces__isnull", False)),
                    models.Q(("act__in", ["add", "remove"]), ("pieces__gte", 1)),
                    _connector="OR",
                ),
                name="awards_stockchange_pieces",
            ),
        ),
        migrations.AddConstraint(
            model_name="stockchange",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("reason", ""), _negated=True), models.Q(("actor", ""), _negated=True)),
                name="awards_stockchange_named",
            ),
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
        migrations.RunPython(make_group, migrations.RunPython.noop),
    ]
