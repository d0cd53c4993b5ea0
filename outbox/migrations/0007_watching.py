"""Figures per minute and in total, alarms, and the two indexes by which a minute is counted."""

import django.db.models.functions.datetime
from django.db import migrations, models

import outbox.models.stats


class Migration(migrations.Migration):
    """What watching needs."""

    dependencies = [
        ("outbox", "0006_failure_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alarm",
            fields=[
                ("about", models.CharField(max_length=150, primary_key=True, serialize=False, verbose_name="about")),
                ("level", models.PositiveSmallIntegerField(verbose_name="level")),
                ("sentence", models.TextField(verbose_name="what a person must do")),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="since"),
                ),
                (
                    "seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last seen"
                    ),
                ),
                ("told_level", models.PositiveSmallIntegerField(default=0, verbose_name="level people were told")),
                ("told_at", models.DateTimeField(blank=True, null=True, verbose_name="people were told")),
            ],
            options={
                "verbose_name": "alarm",
                "verbose_name_plural": "alarms",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="MinuteStat",
            fields=[
                ("successes", models.BigIntegerField(default=0, verbose_name="successes")),
                ("failed", models.BigIntegerField(default=0, verbose_name="failed attempts")),
                ("rejected", models.BigIntegerField(default=0, verbose_name="rejected")),
                ("snoozed", models.BigIntegerField(default=0, verbose_name="not ready")),
                ("unavailable", models.BigIntegerField(default=0, verbose_name="unavailable")),
                ("lost", models.BigIntegerField(default=0, verbose_name="worker lost")),
                ("late", models.BigIntegerField(default=0, verbose_name="too late")),
                ("exhausted", models.BigIntegerField(default=0, verbose_name="exhausted")),
                ("latency_sum", models.FloatField(default=0.0, verbose_name="seconds to success, summed")),
                ("latency_max", models.FloatField(default=0.0, verbose_name="seconds to success, longest")),
                (
                    "latency_counts",
                    models.JSONField(
                        default=outbox.models.stats.no_latencies, verbose_name="successes per latency bucket"
                    ),
                ),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("minute", models.DateTimeField(verbose_name="minute")),
                ("consumer", models.CharField(max_length=100, verbose_name="consumer")),
            ],
            options={
                "verbose_name": "minute",
                "verbose_name_plural": "minutes",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="TotalStat",
            fields=[
                ("successes", models.BigIntegerField(default=0, verbose_name="successes")),
                ("failed", models.BigIntegerField(default=0, verbose_name="failed attempts")),
                ("rejected", models.BigIntegerField(default=0, verbose_name="rejected")),
                ("snoozed", models.BigIntegerField(default=0, verbose_name="not ready")),
                ("unavailable", models.BigIntegerField(default=0, verbose_name="unavailable")),
                ("lost", models.BigIntegerField(default=0, verbose_name="worker lost")),
                ("late", models.BigIntegerField(default=0, verbose_name="too late")),
                ("exhausted", models.BigIntegerField(default=0, verbose_name="exhausted")),
                ("latency_sum", models.FloatField(default=0.0, verbose_name="seconds to success, summed")),
                ("latency_max", models.FloatField(default=0.0, verbose_name="seconds to success, longest")),
                (
                    "latency_counts",
                    models.JSONField(
                        default=outbox.models.stats.no_latencies, verbose_name="successes per latency bucket"
                    ),
                ),
                (
                    "consumer",
                    models.CharField(max_length=100, primary_key=True, serialize=False, verbose_name="consumer"),
                ),
            ],
            options={
                "verbose_name": "total",
                "verbose_name_plural": "totals",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["ended_at"], name="outbox_attempt_ended"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("exhausted_at__isnull", False)),
                fields=["exhausted_at"],
                name="outbox_message_stuck_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="minutestat",
            constraint=models.UniqueConstraint(fields=("minute", "consumer"), name="outbox_minutestat_once"),
        ),
    ]
