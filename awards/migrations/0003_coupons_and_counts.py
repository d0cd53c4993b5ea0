"""Coupons with their pools, the book of stock changes, and what was won on which day."""

from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """A third kind of prize, and what its manager needs."""

    dependencies = [
        ("awards", "0002_storage"),
    ]

    operations = [
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
        migrations.AlterModelOptions(
            name="prize",
            options={
                "permissions": [("change_stock", "Can change the stock of prizes")],
                "verbose_name": "prize",
                "verbose_name_plural": "prizes",
            },
        ),
        migrations.RemoveConstraint(
            model_name="award",
            name="awards_award_kind",
        ),
        migrations.RemoveConstraint(
            model_name="prize",
            name="awards_prize_kind",
        ),
        migrations.AlterField(
            model_name="award",
            name="kind",
            field=models.CharField(
                choices=[("points", "points"), ("gift", "gift"), ("coupon", "coupon")],
                max_length=10,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="prize",
            name="kind",
            field=models.CharField(
                choices=[("points", "points"), ("gift", "gift"), ("coupon", "coupon")],
                max_length=10,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="prize",
            name="value",
            field=models.DecimalField(
                decimal_places=2,
                help_text="Points: how many. Gifts and coupons: what one is worth in money.",
                max_digits=12,
                validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                verbose_name="value",
            ),
        ),
        migrations.AddConstraint(
            model_name="award",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["points", "gift", "coupon"])), name="awards_award_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="prize",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["points", "gift", "coupon"])), name="awards_prize_kind"
            ),
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
    ]
