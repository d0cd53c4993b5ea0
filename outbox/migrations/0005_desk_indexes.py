"""Two indexes for the desk. A row enters them when the machine gives up or a person acts; the rest costs no more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """What is stuck, by consumer; what was closed by hand."""

    dependencies = [("outbox", "0004_audit_is_append_only")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("exhausted_at__isnull", False)),
                fields=["consumer", "id"],
                name="outbox_message_stuck_of",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("resolution", ""), _negated=True),
                fields=["resolution", "id"],
                name="outbox_message_by_hand",
            ),
        ),
    ]
