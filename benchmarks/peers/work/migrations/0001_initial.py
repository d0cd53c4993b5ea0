from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Award",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ("person", models.CharField(max_length=200)),
                ("status", models.CharField(default="won", max_length=8)),
                ("times", models.PositiveIntegerField(default=0)),
                ("issued_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunSQL("ALTER TABLE work_award SET (fillfactor = 70)", migrations.RunSQL.noop),
    ]
