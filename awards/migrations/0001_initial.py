"""The tables of the business, room on their pages for rows that change, and a group for people who run campaigns.

What a host changes in the group afterwards stays as it is.
"""

import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.expressions
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
    "view_claim",
    "view_apiclient",
    "manage_apiclient",
    "view_entitlement",
    "give_entitlement",
    "view_entitlementimport",
    "add_block",
    "change_block",
    "delete_block",
    "view_block",
    "add_sale",
    "change_sale",
    "view_sale",
    "run_sale",
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
                    "draws_per_day",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Leave empty for no limit. A day is one of this site's time zone.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="draws per person and day",
                    ),
                ),
                (
                    "draws_per_address",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Of those who draw without a client's key. Leave empty for no limit; many people may share one address.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="draws per network address and hour",
                    ),
                ),
                (
                    "access",
                    models.CharField(
                        choices=[
                            ("link", "by a link that was given out"),
                            ("signed_in", "by a link, or signed in"),
                            ("open", "open: anybody, under any name"),
                        ],
                        db_default="link",
                        default="link",
                        help_text="Open is for demonstrations: anybody draws as anybody. Clients with a key may draw in any case.",
                        max_length=9,
                        verbose_name="who may draw on the page",
                    ),
                ),
                (
                    "needs_entitlement",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Entitlements are earned in the shop, or given by a manager.",
                        verbose_name="each draw uses up an entitlement",
                    ),
                ),
                (
                    "ignores_tags",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="anna+shop@… is the same person as anna@…: what follows a plus sign makes no second one.",
                        verbose_name="leave out +… in addresses",
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
                    "budget_money",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="What gifts and coupons may be worth together from now on. Leave empty for no limit.",
                        max_digits=14,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="budget in money",
                    ),
                ),
                (
                    "budget_points",
                    models.PositiveBigIntegerField(
                        blank=True, help_text="The same for points.", null=True, verbose_name="budget in points"
                    ),
                ),
                (
                    "spent_money",
                    models.DecimalField(
                        db_default=0,
                        decimal_places=2,
                        default=0,
                        editable=False,
                        max_digits=14,
                        verbose_name="spent in money",
                    ),
                ),
                (
                    "spent_points",
                    models.PositiveBigIntegerField(
                        db_default=0, default=0, editable=False, verbose_name="spent in points"
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
                (
                    "redraws_expired",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="A prize that nobody claimed in time is drawn once more among the losing draws. Otherwise it goes back into stock.",
                        verbose_name="redraw what is not claimed",
                    ),
                ),
                (
                    "allows_debt",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Otherwise points are only taken back while the account has them.",
                        verbose_name="points may be taken back into debt",
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
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("draws_per_day__isnull", True), ("draws_per_day__gte", 1), _connector="OR"),
                            models.Q(
                                ("draws_per_address__isnull", True), ("draws_per_address__gte", 1), _connector="OR"
                            ),
                        ),
                        name="awards_campaign_limits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("access__in", ["link", "signed_in", "open"])), name="awards_campaign_access"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("access", "open"), _negated=True), ("needs_entitlement", False), _connector="OR"
                        ),
                        name="awards_campaign_open",
                        violation_error_message="In an open campaign anybody could use up the entitlements of others. Choose one of the two.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AddressCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="awards.campaign"
                    ),
                ),
                ("digest", models.CharField(max_length=32)),
                ("hour", models.DateTimeField()),
                ("draws", models.PositiveIntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "hour", "digest"), name="awards_address_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiClient",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60, unique=True, verbose_name="name")),
                ("prefix", models.CharField(editable=False, max_length=12, verbose_name="key begins with")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("scopes", models.JSONField(default=list, verbose_name="what it may do")),
                (
                    "rate",
                    models.PositiveIntegerField(
                        default=600,
                        help_text="What is more is refused, and told when to try again.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(60000),
                        ],
                        verbose_name="calls a minute",
                    ),
                ),
                ("made_by", models.CharField(editable=False, max_length=150, verbose_name="made by")),
                (
                    "made_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="made"
                    ),
                ),
                ("last_used_at", models.DateTimeField(editable=False, null=True, verbose_name="last used")),
                ("revoked_at", models.DateTimeField(editable=False, null=True, verbose_name="key revoked")),
                ("revoked_by", models.CharField(default="", editable=False, max_length=150, verbose_name="revoked by")),
                ("full_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name": "client",
                "verbose_name_plural": "clients",
                "permissions": [("manage_apiclient", "Can make and revoke the keys of clients")],
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("rate__gte", 1), ("rate__lte", 60000)), name="awards_client_rate"
                    )
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
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.campaign",
                        verbose_name="campaign",
                    ),
                ),
                ("request_id", models.CharField(max_length=100, verbose_name="request id")),
                ("person", models.CharField(max_length=200, verbose_name="person")),
                ("digest", models.CharField(max_length=64, verbose_name="digest of the request")),
                (
                    "drawn_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="drawn"),
                ),
                ("proof", models.JSONField(default=dict, editable=False, verbose_name="proof")),
                (
                    "redraw_of",
                    models.OneToOneField(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="redrawn",
                        to="awards.draw",
                        verbose_name="redraw of",
                    ),
                ),
            ],
            options={
                "verbose_name": "draw",
                "verbose_name_plural": "draws",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["person"], name="awards_draw_person_idx")],
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "request_id"), name="awards_draw_once"),
                    models.CheckConstraint(
                        condition=models.Q(("person", ""), _negated=True), name="awards_draw_person"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Prize",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="awards.campaign", verbose_name="campaign"
                    ),
                ),
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
                    "claim_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Gifts only: winners say where to send it within these days, or it expires. Leave empty for none.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(365),
                        ],
                        verbose_name="days to claim it",
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
                    "starts_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Leave empty for as long as the campaign runs.",
                        null=True,
                        verbose_name="can be won from",
                    ),
                ),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="can be won until")),
                (
                    "wins_per_day",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Leave empty for no limit. A day is one of this site's time zone.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="wins a day at most",
                    ),
                ),
                (
                    "wins_per_person",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Leave empty for no limit. What was taken back does not count.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="wins per person at most",
                    ),
                ),
                (
                    "is_fallback",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Whoever draws when nothing can be won gets this one, instead of being refused. It has no limits, and the budget does not hold it.",
                        verbose_name="given when nothing else is left",
                    ),
                ),
                (
                    "numbered",
                    models.PositiveIntegerField(
                        db_default=0, default=0, editable=False, verbose_name="pieces numbered"
                    ),
                ),
                ("win_day", models.DateField(editable=False, null=True, verbose_name="last won on")),
                (
                    "wins_that_day",
                    models.PositiveIntegerField(
                        db_default=0, default=0, editable=False, verbose_name="wins on that day"
                    ),
                ),
            ],
            options={
                "verbose_name": "prize",
                "verbose_name_plural": "prizes",
                "permissions": [("change_stock", "Can change the stock of prizes")],
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "name"), name="awards_prize_name_once"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["points", "gift", "coupon"])), name="awards_prize_kind"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("stock__isnull", True), ("stock__gte", 0), _connector="OR"),
                        name="awards_prize_stock",
                    ),
                    models.CheckConstraint(condition=models.Q(("value__gte", 0)), name="awards_prize_value"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "points"), _negated=True),
                            models.Q(("value", django.db.models.functions.math.Round("value")), ("value__gte", 1)),
                            _connector="OR",
                        ),
                        name="awards_prize_whole_points",
                        violation_error_message="Points must be a whole number, at least 1.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("starts_at__isnull", True),
                            ("ends_at__isnull", True),
                            ("ends_at__gt", models.F("starts_at")),
                            _connector="OR",
                        ),
                        name="awards_prize_span",
                        violation_error_message="It must be won from an earlier time than until when.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("wins_per_day__isnull", True), ("wins_per_day__gte", 1), _connector="OR"),
                            models.Q(("wins_per_person__isnull", True), ("wins_per_person__gte", 1), _connector="OR"),
                        ),
                        name="awards_prize_limits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("is_fallback", False),
                            models.Q(
                                ("ends_at__isnull", True),
                                ("starts_at__isnull", True),
                                ("stock__isnull", True),
                                ("wins_per_day__isnull", True),
                                ("wins_per_person__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="awards_prize_fallback",
                        violation_error_message="What is given when nothing else is left has no stock and no limits.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_fallback", True)),
                        fields=("campaign",),
                        name="awards_prize_fallback_once",
                        violation_error_message="Another prize of this campaign is given already when nothing else is left.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("claim_days__isnull", True),
                            models.Q(("claim_days__gte", 1), ("claim_days__lte", 365), ("kind", "gift")),
                            _connector="OR",
                        ),
                        name="awards_prize_claim",
                        violation_error_message="Only gifts are claimed, within 1 to 365 days.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "gift"), ("vendor_sku__gt", "")),
                            models.Q(models.Q(("kind", "gift"), _negated=True), ("vendor_sku", "")),
                            _connector="OR",
                        ),
                        name="awards_prize_sku",
                        violation_error_message="A gift needs the vendor's article number, and nothing else has one.",
                    ),
                ],
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
                (
                    "draw",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="awards.draw", verbose_name="draw"
                    ),
                ),
                (
                    "prize",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="awards.prize", verbose_name="prize"
                    ),
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
                ("stock_returned", models.BooleanField(db_default=False, default=False, verbose_name="back in stock")),
                ("piece", models.PositiveIntegerField(blank=True, editable=False, null=True, verbose_name="piece")),
                (
                    "stock_written",
                    models.BooleanField(
                        db_default=True, default=True, editable=False, verbose_name="taken off the stock"
                    ),
                ),
                (
                    "budgeted",
                    models.BooleanField(
                        db_default=False, default=False, editable=False, verbose_name="counts against the budget"
                    ),
                ),
                ("claim_until", models.DateTimeField(blank=True, null=True, verbose_name="to be claimed until")),
                ("claimed_at", models.DateTimeField(blank=True, null=True, verbose_name="claimed at")),
                (
                    "reason",
                    models.CharField(
                        blank=True, db_default="", default="", editable=False, max_length=300, verbose_name="reason"
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, verbose_name="version")),
                (
                    "won_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="won at"),
                ),
                ("issued_at", models.DateTimeField(blank=True, null=True, verbose_name="issued at")),
            ],
            options={
                "verbose_name": "award",
                "verbose_name_plural": "awards",
                "permissions": [("revoke_award", "Can revoke awards")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["person"], name="awards_award_person_idx"),
                    models.Index(fields=["won_at"], name="awards_award_won_at_idx"),
                    models.Index(
                        condition=models.Q(("stock_written", False)),
                        fields=["prize"],
                        name="awards_award_unwritten_idx",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["points", "gift", "coupon"])), name="awards_award_kind"
                    ),
                    models.UniqueConstraint(fields=("prize", "piece"), name="awards_award_piece_once"),
                    models.CheckConstraint(condition=models.Q(("value__gte", 0)), name="awards_award_value"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["won", "issued", "revoked", "expired", "compensated", "cancelled"])
                        ),
                        name="awards_award_status",
                    ),
                    models.CheckConstraint(
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
                    models.CheckConstraint(
                        condition=models.Q(
                            ("claimed_at__isnull", True), ("claim_until__isnull", False), _connector="OR"
                        ),
                        name="awards_award_claimed",
                    ),
                    models.CheckConstraint(
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
                ],
            },
        ),
        migrations.CreateModel(
            name="Block",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("person", "a person"), ("address", "a network address")],
                        default="person",
                        max_length=7,
                        verbose_name="what",
                    ),
                ),
                ("subject", models.CharField(max_length=200, verbose_name="which")),
                (
                    "reason",
                    models.CharField(help_text="Kept for whoever asks later.", max_length=300, verbose_name="reason"),
                ),
                (
                    "until",
                    models.DateTimeField(
                        blank=True, help_text="Leave empty for always.", null=True, verbose_name="until"
                    ),
                ),
                ("blocked_by", models.CharField(editable=False, max_length=150, verbose_name="by whom")),
                (
                    "blocked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="since"
                    ),
                ),
            ],
            options={
                "verbose_name": "block",
                "verbose_name_plural": "blocks",
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "subject"), name="awards_block_once"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["person", "address"])), name="awards_block_kind"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Claim",
            fields=[
                (
                    "award",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="awards.award",
                        verbose_name="award",
                    ),
                ),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("street", models.CharField(max_length=150, verbose_name="street and number")),
                ("postcode", models.CharField(max_length=12, verbose_name="postcode")),
                ("city", models.CharField(max_length=80, verbose_name="town")),
                ("country", models.CharField(max_length=60, verbose_name="country")),
                ("phone", models.CharField(blank=True, default="", max_length=30, verbose_name="telephone")),
                (
                    "given_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="given"),
                ),
            ],
            options={"verbose_name": "claim", "verbose_name_plural": "claims", "default_permissions": ("view",)},
        ),
        migrations.CreateModel(
            name="Coupon",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "prize",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.prize",
                        verbose_name="prize",
                    ),
                ),
                ("code", models.CharField(max_length=64, verbose_name="code")),
                (
                    "award",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.award",
                        verbose_name="award",
                    ),
                ),
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
                "indexes": [
                    models.Index(
                        condition=models.Q(("award__isnull", True)),
                        fields=["prize", "id"],
                        name="awards_coupon_free_idx",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("prize", "code"), name="awards_coupon_code_once"),
                    models.CheckConstraint(condition=models.Q(("code", ""), _negated=True), name="awards_coupon_code"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("award__isnull", True), ("issued_at__isnull", True)),
                            models.Q(("award__isnull", False), ("issued_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="awards_coupon_issued",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DailyStatistic",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "prize",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="awards.prize",
                        verbose_name="prize",
                    ),
                ),
                ("day", models.DateField(verbose_name="day")),
                ("won", models.PositiveIntegerField(default=0, verbose_name="won")),
                ("value", models.DecimalField(decimal_places=2, default=0, max_digits=20, verbose_name="value")),
                ("revoked", models.PositiveIntegerField(default=0, verbose_name="revoked")),
            ],
            options={
                "verbose_name": "daily statistic",
                "verbose_name_plural": "daily statistics",
                "default_permissions": ("view",),
                "constraints": [models.UniqueConstraint(fields=("prize", "day"), name="awards_dailystatistic_once")],
            },
        ),
        migrations.CreateModel(
            name="Entitlement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="public id"),
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
                ("person", models.CharField(max_length=200, verbose_name="person")),
                (
                    "source",
                    models.CharField(
                        help_text="Such as an order's number. The same again in this campaign gives no second draw.",
                        max_length=100,
                        verbose_name="earned by",
                    ),
                ),
                ("given_by", models.CharField(max_length=150, verbose_name="given by")),
                (
                    "given_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="given"),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="valid until")),
                ("used_at", models.DateTimeField(blank=True, null=True, verbose_name="used")),
                (
                    "draw",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.draw",
                        verbose_name="draw",
                    ),
                ),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True, verbose_name="taken back")),
            ],
            options={
                "verbose_name": "entitlement",
                "verbose_name_plural": "entitlements",
                "permissions": [("give_entitlement", "Can give and take back entitlements")],
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["person", "campaign"], name="awards_entitlement_person_idx")],
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "source"), name="awards_entitlement_source_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("person", ""), _negated=True), models.Q(("source", ""), _negated=True)
                        ),
                        name="awards_entitlement_named",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("draw__isnull", True), ("used_at__isnull", True)),
                            models.Q(("used_at__isnull", False), ("withdrawn_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="awards_entitlement_used",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EntitlementImport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="awards.campaign", verbose_name="campaign"
                    ),
                ),
                ("actor", models.CharField(max_length=150, verbose_name="by whom")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="when")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="valid until")),
                ("lines", models.PositiveIntegerField(verbose_name="lines")),
                ("done", models.PositiveIntegerField(default=0, verbose_name="written")),
                ("added", models.PositiveIntegerField(default=0, verbose_name="new")),
            ],
            options={
                "verbose_name": "import of entitlements",
                "verbose_name_plural": "imports of entitlements",
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("added__lte", models.F("done")), ("done__lte", models.F("lines"))),
                        name="awards_import_counts",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "part_of",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="parts", to="awards.entitlementimport"
                    ),
                ),
                ("lines", models.JSONField()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Participation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="awards.campaign",
                        verbose_name="campaign",
                    ),
                ),
                ("person", models.CharField(max_length=200, verbose_name="person")),
                ("draws", models.PositiveIntegerField(default=0, verbose_name="draws")),
                ("day", models.DateField(null=True, verbose_name="last drawn on")),
                ("draws_today", models.PositiveIntegerField(default=0, verbose_name="draws on that day")),
            ],
            options={
                "verbose_name": "participation",
                "verbose_name_plural": "participations",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "person"), name="awards_participation_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="PointsAccount",
            fields=[
                ("person", models.CharField(max_length=200, primary_key=True, serialize=False, verbose_name="person")),
                ("balance", models.BigIntegerField(default=0, verbose_name="balance")),
                (
                    "debt_limit",
                    models.PositiveBigIntegerField(db_default=0, default=0, verbose_name="may be in debt by"),
                ),
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
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "balance__gte",
                                django.db.models.expressions.CombinedExpression(
                                    models.Value(0), "-", models.F("debt_limit")
                                ),
                            )
                        ),
                        name="awards_account_balance",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PointsEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="awards.award",
                        verbose_name="award",
                    ),
                ),
                (
                    "takes_back",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="counter_entry",
                        to="awards.pointsentry",
                        verbose_name="takes back",
                    ),
                ),
                ("transfer", models.UUIDField(default=uuid.uuid4, editable=False, verbose_name="transfer")),
                ("points", models.BigIntegerField(verbose_name="points")),
                (
                    "booked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="booked"),
                ),
            ],
            options={
                "verbose_name": "points entry",
                "verbose_name_plural": "points entries",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["account"], name="awards_entry_account_idx")],
                "constraints": [
                    models.UniqueConstraint(fields=("transfer", "account"), name="awards_entry_transfer_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("award__isnull", False), ("points__gte", 1), ("takes_back__isnull", True)),
                            models.Q(("award__isnull", True), ("points__lte", -1), ("takes_back__isnull", False)),
                            _connector="OR",
                        ),
                        name="awards_entry_points",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="QueuedRefusal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="awards.campaign"
                    ),
                ),
                ("request_id", models.CharField(max_length=100)),
                ("person", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64)),
                ("code", models.CharField(max_length=40)),
                ("refused_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "request_id"), name="awards_queuedrefusal_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Refusal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="awards.campaign",
                        verbose_name="campaign",
                    ),
                ),
                ("code", models.CharField(max_length=40, verbose_name="code")),
                ("day", models.DateField(verbose_name="day")),
                ("times", models.PositiveIntegerField(default=0, verbose_name="times")),
            ],
            options={
                "verbose_name": "refusal",
                "verbose_name_plural": "refusals",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "day", "code"), name="awards_refusal_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Sale",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, to="awards.campaign", verbose_name="campaign"
                    ),
                ),
                (
                    "stock_in",
                    models.CharField(
                        choices=[("database", "the database"), ("redis", "Redis")],
                        db_default="database",
                        default="database",
                        help_text="Redis takes pieces without a lock that all wait for. It needs REDIS_URL.",
                        max_length=8,
                        verbose_name="stock is taken from",
                    ),
                ),
                (
                    "rate",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="What is more is refused at once (429), before it costs anything. Leave empty for no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="draws a second",
                    ),
                ),
                (
                    "burst",
                    models.PositiveIntegerField(
                        db_default=1,
                        default=1,
                        help_text="How many draws may come at the same moment after a pause.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="burst",
                    ),
                ),
                (
                    "queues",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="A program is answered 202 with an address to ask; workers draw for many at once.",
                        verbose_name="draws wait in a queue",
                    ),
                ),
                (
                    "within",
                    models.PositiveIntegerField(
                        db_default=30,
                        default=30,
                        help_text="Who has waited longer is answered: not won.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(3600),
                        ],
                        verbose_name="seconds in the queue at most",
                    ),
                ),
                (
                    "paused_consumers",
                    models.TextField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="One name a line. They are paused when the sale opens, and go on when it is closed or the campaign ends. A change of this list while it is open acts at once.",
                        verbose_name="consumers paused meanwhile",
                    ),
                ),
                ("at_rest", models.JSONField(editable=False, null=True, verbose_name="consumers that it has paused")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "opens with the campaign"),
                            ("warming", "being prewarmed"),
                            ("open", "open"),
                            ("closed", "closed"),
                        ],
                        db_default="new",
                        default="new",
                        editable=False,
                        max_length=7,
                        verbose_name="state",
                    ),
                ),
                (
                    "because",
                    models.CharField(
                        blank=True, db_default="", default="", editable=False, max_length=300, verbose_name="why"
                    ),
                ),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="since"
                    ),
                ),
                ("epoch", models.PositiveIntegerField(db_default=0, default=0, editable=False, verbose_name="epoch")),
                (
                    "sold_out_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="sold out at"),
                ),
            ],
            options={
                "verbose_name": "flash sale",
                "verbose_name_plural": "flash sales",
                "permissions": [("run_sale", "Can open and close flash sales")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("stock_in__in", ["database", "redis"])), name="awards_sale_stock_in"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["new", "warming", "open", "closed"])),
                        name="awards_sale_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("rate__isnull", True), ("rate__gte", 1), _connector="OR"), ("burst__gte", 1)
                        ),
                        name="awards_sale_rate",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("within__gte", 1), ("within__lte", 3600)), name="awards_sale_within"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("queues", False), ("stock_in", "database"), _connector="OR"),
                        name="awards_sale_queues",
                        violation_error_message="Draws that wait in a queue take their pieces from the database.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SaleSecond",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="awards.campaign"
                    ),
                ),
                ("second", models.DateTimeField()),
                ("admitted", models.PositiveIntegerField(default=0)),
                ("refused", models.PositiveIntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("campaign", "second"), name="awards_salesecond_once")],
            },
        ),
        migrations.CreateModel(
            name="StockChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "prize",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="awards.prize",
                        verbose_name="prize",
                    ),
                ),
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
                "indexes": [models.Index(fields=["prize", "id"], name="awards_stockchange_prize_idx")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("act__in", ["add", "remove", "limit", "unlimit"])),
                        name="awards_stockchange_act",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("act", "unlimit"), ("pieces__isnull", True)),
                            models.Q(("act", "limit"), ("pieces__isnull", False)),
                            models.Q(("act__in", ["add", "remove"]), ("pieces__gte", 1)),
                            _connector="OR",
                        ),
                        name="awards_stockchange_pieces",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True), models.Q(("actor", ""), _negated=True)
                        ),
                        name="awards_stockchange_named",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VendorOrder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "award",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="awards.award", verbose_name="award"
                    ),
                ),
                ("number", models.CharField(max_length=100, verbose_name="vendor's order number")),
                ("idempotency_key", models.CharField(max_length=64, verbose_name="idempotency key")),
                ("sku", models.CharField(max_length=64, verbose_name="vendor's article number")),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="recorded"),
                ),
            ],
            options={
                "verbose_name": "vendor order",
                "verbose_name_plural": "vendor orders",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("number",), name="awards_order_number_once"),
                    models.UniqueConstraint(fields=("idempotency_key",), name="awards_order_key_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("number", ""), _negated=True), models.Q(("idempotency_key", ""), _negated=True)
                        ),
                        name="awards_order_named",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                (
                    "client",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="awards.apiclient",
                        verbose_name="client",
                    ),
                ),
                ("url", models.CharField(max_length=500, verbose_name="address")),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                ("secret", models.CharField(editable=False, max_length=60)),
                ("previous", models.CharField(default="", editable=False, max_length=60)),
                ("previous_until", models.DateTimeField(editable=False, null=True)),
                ("set_by", models.CharField(editable=False, max_length=150, verbose_name="set by")),
                (
                    "set_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="set"
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook",
                "verbose_name_plural": "webhooks",
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("url", ""), _negated=True), models.Q(("secret", ""), _negated=True)
                        ),
                        name="awards_webhook_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("previous", ""), ("previous_until__isnull", True)),
                            models.Q(models.Q(("previous", ""), _negated=True), ("previous_until__isnull", False)),
                            _connector="OR",
                        ),
                        name="awards_webhook_previous",
                    ),
                ],
            },
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
        migrations.RunPython(make_group, migrations.RunPython.noop),
    ]
