from django.db import migrations, models

COUNT = """
    CREATE FUNCTION work_award_issued() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.times := OLD.times + 1;
        NEW.issued_at := statement_timestamp();
        RETURN NEW;
    END $$;
    CREATE TRIGGER work_award_issued BEFORE UPDATE OF status ON work_award
        FOR EACH ROW EXECUTE FUNCTION work_award_issued();
"""


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
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
