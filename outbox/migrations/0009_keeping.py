"""What keeping needs: ages after a retry, rows of the same outcome, chores expected, acts by what they are about."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Four columns and an index; none of them rewrites a table."""

    dependencies = [("outbox", "0008_groups_see_failures")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="retried_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="last retried by hand"),
        ),
        migrations.AddField(
            model_name="attempt",
            name="times",
            field=models.PositiveIntegerField(db_default=1, default=1, verbose_name="times in a row"),
        ),
        migrations.AddField(
            model_name="pulse",
            name="since",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(), verbose_name="known since"
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                condition=models.Q(("message_id__isnull", True)),
                fields=["subject", "action", "id"],
                name="outbox_audit_about",
            ),
        ),
    ]
