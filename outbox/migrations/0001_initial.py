"""The tables of the outbox, how PostgreSQL stores them, and the guard of the audit."""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import outbox.models.evidence
import outbox.models.sql.drawn
import outbox.models.stats
import uuid
from collections.abc import Callable
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Fillfactor 45: 100 % of the updates pending -> started were HOT (50: 87 %, 100: 8 %), measured with 400-byte payloads.
STORAGE = """
ALTER TABLE outbox_message SET (
    fillfactor = 45,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
)
"""
DEFAULTS = """
ALTER TABLE outbox_message RESET (
    fillfactor,
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold,
    autovacuum_vacuum_cost_delay
)
"""


# Row-level only, so that TRUNCATE still empties test databases. Whoever owns the table can switch it off: the chain
# then shows what was done. Pruning names the last id that may go in a setting of its transaction. Whoever sets it by
# hand can delete as well; the chain then lacks the note of it, and its check says so. The same holds for erasing texts,
# the one change that is let pass.
GUARD = """
CREATE FUNCTION outbox_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.id <= nullif(current_setting('outbox.prune_audit', true), '')::bigint THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND current_setting('outbox.erase_audit', true) = 'on'
        AND (NEW.salt, NEW.reason, NEW.before, NEW.after) = ('', '', '{}'::jsonb, '{}'::jsonb)
        AND (NEW.id, NEW.at, NEW.actor, NEW.origin, NEW.action, NEW.subject, NEW.texts_digest, NEW.previous, NEW.digest)
            = (OLD.id, OLD.at, OLD.actor, OLD.origin, OLD.action, OLD.subject, OLD.texts_digest, OLD.previous, OLD.digest)
        AND NEW.message_id IS NOT DISTINCT FROM OLD.message_id
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'outbox_auditentry is append-only: entry % can be neither changed nor deleted', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER outbox_auditentry_append_only BEFORE UPDATE OR DELETE ON outbox_auditentry
    FOR EACH ROW EXECUTE FUNCTION outbox_refuse_audit_change();
"""
NO_GUARD = """
DROP TRIGGER outbox_auditentry_append_only ON outbox_auditentry;
DROP FUNCTION outbox_refuse_audit_change();
"""


# Unlogged, for a row lives no longer than its transaction. A handler may set constraints immediate: the trigger fires
# then, lets it pass, and does not fire again. It runs as its owner, and with its owner's search path, for a handler may
# have changed both for its transaction.
COMMIT_GUARD = """
CREATE UNLOGGED TABLE outbox_unsettled (number bigint PRIMARY KEY);
CREATE FUNCTION outbox_refuse_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    IF current_query() ~* '\\m(commit|end|prepare)\\M'
        AND EXISTS (SELECT FROM outbox_unsettled WHERE number = NEW.number)
    THEN
        RAISE EXCEPTION 'a handler must not commit: its effect would no longer hang together with its success'
            USING ERRCODE = 'invalid_transaction_termination', HINT = 'Use transaction.atomic(), or atomic=False.';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER outbox_unsettled_refuse_commit AFTER INSERT ON outbox_unsettled
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION outbox_refuse_commit();
"""
NO_COMMIT_GUARD = """
DROP TABLE outbox_unsettled;
DROP FUNCTION outbox_refuse_commit();
"""


# One round trip of ``publish``. The look at each key is planned once a session: to plan it anew took four times as long
# as all of this. A session may begin on an empty table and keep its plan, so only a plan along an index will do. Locks are
# taken in the order of their hashes, so that two calls cannot wait for each other, whatever keys share a hash. What
# follows has a snapshot of its own, and sees what those have committed who held the locks.
TAKE_TURN = """
CREATE FUNCTION outbox_take_turn(consumers text[], keys text[]) RETURNS TABLE (of_consumer text, of_key text)
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off SET enable_bitmapscan = off AS
$$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('outbox'), hash)
        FROM (SELECT DISTINCT hashtext(word) AS hash FROM unnest(keys) AS word ORDER BY hash) AS in_order;
    FOR n IN 1 .. cardinality(keys) LOOP
        SELECT head.consumer, head.ordering_key INTO of_consumer, of_key FROM outbox_message AS head
            WHERE NOT (head.ordering_key = '') AND (head.finished_at IS NULL OR head.exhausted_at IS NOT NULL)
                AND (head.consumer, head.ordering_key, head.id) > (consumers[n], keys[n], 0)
            ORDER BY head.consumer, head.ordering_key, head.id LIMIT 1;
        IF (of_consumer, of_key) = (consumers[n], keys[n]) THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
"""
NO_TAKE_TURN = "DROP FUNCTION outbox_take_turn(text[], text[])"


def on_postgresql(sql: str) -> Callable[[StateApps, BaseDatabaseSchemaEditor], None]:
    """Return what runs ``sql`` where the database is PostgreSQL, and nothing elsewhere."""

    def run(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql, params=None)

    return run


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
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
                ("notified_level", models.PositiveSmallIntegerField(default=0, verbose_name="level people were told")),
                ("notified_at", models.DateTimeField(blank=True, null=True, verbose_name="people were told")),
            ],
            options={"verbose_name": "alert", "verbose_name_plural": "alerts", "default_permissions": ("view",)},
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("owner", models.CharField(max_length=150, verbose_name="acts for")),
                ("owner_key", models.CharField(editable=False, max_length=64)),
                ("prefix", models.CharField(max_length=10, verbose_name="begins with")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("scopes", models.JSONField(default=list, verbose_name="scopes")),
                ("made_by", models.CharField(max_length=150, verbose_name="made by")),
                (
                    "made_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="made"),
                ),
                ("expires_at", models.DateTimeField(verbose_name="valid until")),
                ("last_used_at", models.DateTimeField(blank=True, null=True, verbose_name="last used")),
                ("revoked_at", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
                ("revoked_by", models.CharField(blank=True, default="", max_length=150, verbose_name="revoked by")),
                ("full_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "API token",
                "verbose_name_plural": "API tokens",
                "permissions": [("manage_apitoken", "Can make and revoke API tokens")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="ApiAnswer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "token",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="outbox.apitoken"
                    ),
                ),
                ("key", models.CharField(max_length=200)),
                ("call", models.CharField(max_length=64)),
                ("answer", models.JSONField(default=dict)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("token", "key"), name="outbox_apianswer_once")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("topic", models.CharField(max_length=200, verbose_name="topic")),
                ("consumer", models.CharField(max_length=100, verbose_name="consumer")),
                ("key", models.CharField(max_length=200, verbose_name="business id")),
                ("payload", models.JSONField(verbose_name="payload")),
                ("digest", models.CharField(blank=True, db_default="", default="", editable=False, max_length=32)),
                (
                    "drawn_key",
                    models.UUIDField(
                        db_default=outbox.models.sql.drawn.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        verbose_name="idempotency key",
                    ),
                ),
                ("replay", models.PositiveIntegerField(db_default=0, default=0, editable=False, verbose_name="replay")),
                ("headers", models.JSONField(default=dict, verbose_name="headers")),
                ("ordering_key", models.CharField(blank=True, default="", max_length=200, verbose_name="ordering key")),
                (
                    "value",
                    models.DecimalField(
                        blank=True, decimal_places=4, editable=False, max_digits=15, null=True, verbose_name="value"
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        blank=True, db_default="", default="", editable=False, max_length=8, verbose_name="currency"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("started", "started"),
                            ("success", "success"),
                            ("failed", "failed"),
                        ],
                        default="pending",
                        max_length=8,
                        verbose_name="status",
                    ),
                ),
                (
                    "resolution",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "unresolved"),
                            ("handled", "handled by hand"),
                            ("discarded", "discarded"),
                            ("overdue", "overdue"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="",
                        max_length=9,
                        verbose_name="resolution",
                    ),
                ),
                ("holds_key", models.BooleanField(db_default=False, default=False, editable=False)),
                ("attempts", models.PositiveIntegerField(default=0, verbose_name="attempts")),
                ("attempt_limit", models.PositiveIntegerField(verbose_name="attempt limit")),
                ("lost", models.PositiveSmallIntegerField(default=0, verbose_name="losses in a row")),
                ("sends", models.PositiveSmallIntegerField(default=0, verbose_name="sends without a start")),
                ("due_at", models.DateTimeField(verbose_name="due")),
                ("not_before", models.DateTimeField(verbose_name="not before")),
                ("lease_until", models.DateTimeField(blank=True, null=True, verbose_name="leased until")),
                ("expires_at", models.DateTimeField(verbose_name="deadline")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="last started")),
                ("retried_at", models.DateTimeField(blank=True, null=True, verbose_name="last retried by hand")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                ("exhausted_at", models.DateTimeField(blank=True, null=True, verbose_name="exhausted")),
                ("worker", models.CharField(blank=True, default="", max_length=100, verbose_name="worker")),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("no_tries_left", "no tries left"),
                            ("timed_out", "timed out: its handler took longer than the consumer's timeout"),
                            ("rejected", "rejected"),
                            ("worker_lost", "its worker did not settle it in time, again and again"),
                            ("expired", "expired: the deadline passed before it succeeded"),
                            ("consumer_gone", "the consumer is not in the code any more"),
                            (
                                "may_have_happened",
                                "may have happened: its worker was lost in the call, and it is never called twice",
                            ),
                            (
                                "effect_unknown",
                                "may have happened: an earlier call began its effect, and nobody knows how that ended",
                            ),
                            ("ended_transaction", "its handler ended the transaction in which it was called"),
                            (
                                "not_taken",
                                "no worker took it: its hints went into an empty queue, again and again, and it was never started",
                            ),
                            ("unroutable", "unroutable: its exchange had no queue for it, again and again"),
                            ("refused", "refused: the broker closes the channel over it, again and again"),
                            (
                                "no_receipt",
                                "no receipt: it was sent, and its receiver said nothing in time, again and again",
                            ),
                        ],
                        db_default="",
                        default="",
                        max_length=17,
                        verbose_name="why it was given up",
                    ),
                ),
                ("last_error", models.TextField(blank=True, default="", verbose_name="last error")),
                ("failure", models.CharField(blank=True, default="", max_length=64, verbose_name="failure group")),
                ("revision", models.PositiveIntegerField(default=0, verbose_name="operator changes")),
            ],
            options={
                "verbose_name": "message",
                "verbose_name_plural": "messages",
                "permissions": [
                    ("view_payload", "Can see payloads unmasked"),
                    ("retry_message", "Can retry messages"),
                    ("edit_payload", "Can edit a payload and retry"),
                    ("resolve_message", "Can mark messages as handled and reopen them"),
                    ("discard_message", "Can discard messages"),
                    ("withdraw_message", "Can withdraw messages that wait"),
                    ("hurry_message", "Can make messages due at once"),
                    ("replay_message", "Can replay messages"),
                    ("bulk_message", "Can act on many messages at once"),
                    ("approve_bulk", "Can approve bulk operations"),
                    ("export_message", "Can export messages"),
                    ("erase_message", "Can erase what messages say of persons"),
                ],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=["consumer", "due_at", "id"],
                        name="outbox_message_due",
                    ),
                    models.Index(
                        condition=models.Q(("exhausted_at__isnull", False)), fields=["id"], name="outbox_message_stuck"
                    ),
                    models.Index(
                        condition=models.Q(("exhausted_at__isnull", False)),
                        fields=["consumer", "id"],
                        name="outbox_message_stuck_of",
                    ),
                    models.Index(
                        condition=models.Q(("exhausted_at__isnull", False)),
                        fields=["consumer", "failure", "id", "currency", "value", "exhausted_at"],
                        name="outbox_message_groups",
                    ),
                    models.Index(
                        condition=models.Q(("exhausted_at__isnull", True), ("finished_at__isnull", False)),
                        fields=["finished_at"],
                        name="outbox_message_prune",
                    ),
                    models.Index(
                        condition=models.Q(("resolution", ""), _negated=True),
                        fields=["resolution", "id"],
                        name="outbox_message_by_hand",
                    ),
                    models.Index(
                        condition=models.Q(("exhausted_at__isnull", False)),
                        fields=["exhausted_at"],
                        name="outbox_message_stuck_at",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("exhausted_at__isnull", False), models.Q(("ordering_key", ""), _negated=True)
                        ),
                        fields=["exhausted_at"],
                        name="outbox_message_held",
                    ),
                    models.Index(
                        condition=models.Q(
                            models.Q(("ordering_key", ""), _negated=True),
                            models.Q(("finished_at__isnull", True), ("exhausted_at__isnull", False), _connector="OR"),
                        ),
                        fields=["consumer", "ordering_key", "id"],
                        name="outbox_message_order",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("key", "topic", "consumer", "replay"), name="outbox_message_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("holds_key", True)),
                        fields=("consumer", "ordering_key"),
                        name="outbox_message_one_of_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("holds_key", False),
                            models.Q(("status", "started"), models.Q(("ordering_key", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="outbox_message_holds_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "started", "success", "failed"])),
                        name="outbox_message_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("resolution", ""),
                            models.Q(("resolution", "handled"), ("status", "success")),
                            models.Q(("resolution__in", ["discarded", "overdue", "withdrawn"]), ("status", "failed")),
                            _connector="OR",
                        ),
                        name="outbox_message_resolution",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", True), ("status__in", ["pending", "started"])),
                            models.Q(("finished_at__isnull", False), ("status__in", ["success", "failed"])),
                            _connector="OR",
                        ),
                        name="outbox_message_finished",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("exhausted_at__isnull", False), ("resolution", ""), ("status", "failed")),
                            models.Q(
                                models.Q(("resolution", ""), ("status", "failed"), _negated=True),
                                ("exhausted_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="outbox_message_exhausted",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("attempts__gte", 1),
                                ("lease_until__isnull", False),
                                ("started_at__isnull", False),
                                ("status", "started"),
                            ),
                            models.Q(models.Q(("status", "started"), _negated=True), ("lease_until__isnull", True)),
                            _connector="OR",
                        ),
                        name="outbox_message_leased",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("attempts__lt", models.F("attempt_limit")),
                            models.Q(
                                models.Q(("status", "pending"), _negated=True), ("attempts", models.F("attempt_limit"))
                            ),
                            _connector="OR",
                        ),
                        name="outbox_message_attempts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("reason", ""), ("status", "failed"), ("resolution", "handled"), _connector="OR"
                        ),
                        name="outbox_message_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("topic", ""), _negated=True),
                            models.Q(("consumer", ""), _negated=True),
                            models.Q(("key", ""), _negated=True),
                        ),
                        name="outbox_message_named",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("currency", ""), ("value__isnull", True)),
                            models.Q(
                                ("value__gte", 0), ("value__isnull", False), models.Q(("currency", ""), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="outbox_message_value",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="outbox.message", verbose_name="message"
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("failed", "failed"),
                            ("rejected", "rejected"),
                            ("snoozed", "not ready"),
                            ("unavailable", "unavailable"),
                            ("lost", "worker lost"),
                            ("late", "too late"),
                        ],
                        max_length=11,
                        verbose_name="outcome",
                    ),
                ),
                ("times", models.PositiveIntegerField(db_default=1, default=1, verbose_name="times in a row")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                (
                    "ended_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="ended"),
                ),
                ("error", models.TextField(blank=True, default="", verbose_name="error")),
                (
                    "may_have_acted",
                    models.BooleanField(db_default=False, default=False, verbose_name="the other side may have acted"),
                ),
                ("traceback", models.TextField(blank=True, default="", verbose_name="traceback")),
                ("worker", models.CharField(blank=True, default="", max_length=100, verbose_name="worker")),
            ],
            options={
                "verbose_name": "attempt",
                "verbose_name_plural": "attempts",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["ended_at"], name="outbox_attempt_ended")],
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(verbose_name="when")),
                ("actor", models.CharField(max_length=150, verbose_name="who")),
                ("origin", models.CharField(blank=True, default="", max_length=100, verbose_name="from where")),
                ("action", models.CharField(max_length=30, verbose_name="act")),
                ("message_id", models.BigIntegerField(blank=True, db_index=True, null=True, verbose_name="message")),
                ("subject", models.CharField(max_length=520, verbose_name="on what")),
                ("before", models.JSONField(default=dict, verbose_name="before")),
                ("after", models.JSONField(default=dict, verbose_name="after")),
                ("reason", models.TextField(verbose_name="reason")),
                ("salt", models.CharField(editable=False, max_length=32)),
                ("texts_digest", models.CharField(editable=False, max_length=64, verbose_name="hash of the texts")),
                ("previous", models.CharField(max_length=64, unique=True, verbose_name="hash of the entry before")),
                ("digest", models.CharField(max_length=64, verbose_name="hash")),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit entries",
                "permissions": [("view_audit", "Can see the audit")],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["subject", "id"], name="outbox_audit_about"),
                    models.Index(fields=["actor", "id"], name="outbox_audit_by"),
                    models.Index(fields=["action", "id"], name="outbox_audit_act"),
                    models.Index(fields=["at"], name="outbox_audit_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AwaitedReceipt",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="outbox.message",
                        verbose_name="message",
                    ),
                ),
                ("key", models.UUIDField(db_index=True, editable=False)),
                ("receiver", models.CharField(max_length=50, verbose_name="receiver")),
                ("sent_attempt", models.PositiveIntegerField(default=0, verbose_name="attempt that was sent")),
            ],
            options={
                "verbose_name": "awaited receipt",
                "verbose_name_plural": "awaited receipts",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="BookDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("book", models.CharField(max_length=60, verbose_name="book")),
                ("day", models.DateField(verbose_name="day")),
                (
                    "closed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="closed"),
                ),
                ("closed_by", models.CharField(max_length=150, verbose_name="closed by")),
                ("entry", models.BigIntegerField(verbose_name="entry of the audit")),
                ("seals", models.JSONField(default=dict, editable=False)),
            ],
            options={
                "verbose_name": "closed day",
                "verbose_name_plural": "closed days",
                "default_permissions": (),
                "indexes": [models.Index(fields=["book", "day"], name="outbox_bookday_of")],
            },
        ),
        migrations.CreateModel(
            name="BookDifference",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("book", models.CharField(max_length=60, verbose_name="book")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("no_message", "business row without message"),
                            ("no_business", "message without business row"),
                            ("not_settled", "business done, message open or failed"),
                            ("not_done", "message succeeded, business not done"),
                        ],
                        max_length=11,
                        verbose_name="difference",
                    ),
                ),
                ("key", models.CharField(max_length=200, verbose_name="business id")),
                ("consumer", models.CharField(blank=True, default="", max_length=100, verbose_name="consumer")),
                ("message_id", models.BigIntegerField(blank=True, null=True, verbose_name="message")),
                ("number", models.BigIntegerField(blank=True, null=True)),
                ("at", models.DateTimeField(verbose_name="of")),
                (
                    "found_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="found"),
                ),
                ("gone_at", models.DateTimeField(blank=True, null=True, verbose_name="gone")),
                ("explained_at", models.DateTimeField(blank=True, null=True, verbose_name="explained")),
                ("explained_by", models.CharField(blank=True, default="", max_length=150, verbose_name="explained by")),
                ("explanation", models.TextField(blank=True, default="", verbose_name="explanation")),
            ],
            options={
                "verbose_name": "difference of a book",
                "verbose_name_plural": "differences of the books",
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("gone_at__isnull", True)),
                        fields=["book", "number"],
                        name="outbox_bookdifference_standing",
                    ),
                    models.Index(
                        condition=models.Q(("gone_at__isnull", True)),
                        fields=["message_id"],
                        name="outbox_bookdifference_message",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("gone_at__isnull", True)),
                        fields=("book", "kind", "key", "consumer"),
                        name="outbox_bookdifference_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["no_message", "no_business", "not_settled", "not_done"])),
                        name="outbox_bookdifference_kind",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BookState",
            fields=[
                ("name", models.CharField(max_length=60, primary_key=True, serialize=False, verbose_name="book")),
                ("topic", models.CharField(max_length=200, verbose_name="topics")),
                ("every_seconds", models.PositiveIntegerField(default=600, verbose_name="read every so many seconds")),
                ("began_at", models.DateTimeField(verbose_name="from")),
                ("read_until", models.DateTimeField(verbose_name="read up to")),
                ("ran_at", models.DateTimeField(blank=True, null=True, verbose_name="last read")),
                ("seconds", models.FloatField(default=0.0, verbose_name="seconds it took")),
                ("error", models.TextField(blank=True, default="", verbose_name="error")),
                ("swept_to", models.BigIntegerField(default=0, editable=False)),
                ("swept_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("reread_to", models.BigIntegerField(default=0, editable=False)),
                ("reread_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("changed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("round_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("round_settled", models.DateTimeField(blank=True, editable=False, null=True)),
                ("spans", models.JSONField(default=dict, editable=False)),
                ("held_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("undeclared_since", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "book",
                "verbose_name_plural": "books",
                "permissions": [
                    ("close_bookday", "Can close a day of the books"),
                    ("explain_difference", "Can explain differences of the books"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="BookWindow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("book", models.CharField(max_length=60)),
                ("number", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("unbalanced", "does not balance"), ("balanced", "balanced")],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("business", models.PositiveIntegerField(default=0)),
                ("done", models.PositiveIntegerField(default=0)),
                ("closed", models.PositiveIntegerField(default=0)),
                ("consumers", models.PositiveIntegerField(default=0)),
                ("success", models.PositiveIntegerField(default=0)),
                ("handled", models.PositiveIntegerField(default=0)),
                ("discarded", models.PositiveIntegerField(default=0)),
                ("withdrawn", models.PositiveIntegerField(default=0)),
                ("overdue", models.PositiveIntegerField(default=0)),
                ("open", models.PositiveIntegerField(default=0)),
                ("missing", models.PositiveIntegerField(default=0)),
                ("read_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("book", "number"), name="outbox_bookwindow_once"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "unbalanced", "balanced"])),
                        name="outbox_bookwindow_state",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkOperation",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "verb",
                    models.CharField(
                        choices=[
                            ("retry", "retry"),
                            ("edit", "edit and retry"),
                            ("handle", "mark as handled"),
                            ("discard", "discard"),
                            ("reopen", "reopen"),
                        ],
                        max_length=7,
                        verbose_name="act",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "preview"),
                            ("waiting", "waits for approval"),
                            ("canary", "trying a few first"),
                            ("running", "running"),
                            ("suspended", "suspended"),
                            ("paused", "paused"),
                            ("stopped", "stopped itself"),
                            ("done", "done"),
                            ("cancelled", "cancelled"),
                        ],
                        default="draft",
                        max_length=9,
                        verbose_name="state",
                    ),
                ),
                ("source", models.JSONField(default=dict, verbose_name="set")),
                ("patch", models.JSONField(default=dict, verbose_name="change of the payloads")),
                ("preview", models.JSONField(default=dict, verbose_name="preview")),
                ("digest", models.CharField(blank=True, default="", max_length=64, verbose_name="digest of the set")),
                ("created_by", models.CharField(max_length=150, verbose_name="prepared by")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="prepared"),
                ),
                ("started_by", models.CharField(blank=True, default="", max_length=150, verbose_name="started by")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                ("approved_by", models.CharField(blank=True, default="", max_length=150, verbose_name="approved by")),
                ("approved_at", models.DateTimeField(blank=True, null=True, verbose_name="approved")),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last change of state"
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
                ("told", models.BooleanField(default=True, editable=False)),
                ("reason", models.TextField(blank=True, default="", verbose_name="reason")),
                ("origin", models.CharField(blank=True, default="", max_length=100, verbose_name="from where")),
                (
                    "handled_as",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("issued", "issued outside the system"),
                            ("compensated", "compensated otherwise"),
                            ("not_due", "not due"),
                        ],
                        default="",
                        max_length=11,
                        verbose_name="handled as",
                    ),
                ),
                ("evidence", models.CharField(blank=True, default="", max_length=300, verbose_name="evidence")),
                ("rate", models.PositiveIntegerField(blank=True, null=True, verbose_name="messages per second")),
                ("canary_size", models.PositiveIntegerField(default=0, verbose_name="messages tried first")),
                ("canary_passed_at", models.DateTimeField(blank=True, null=True, verbose_name="trial passed")),
                (
                    "stop_percent",
                    models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="stop above so many percent"),
                ),
                (
                    "stopped_because",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("canary", "not every message of the trial succeeded"),
                            ("failures", "too many failed again"),
                        ],
                        default="",
                        max_length=8,
                        verbose_name="stopped because",
                    ),
                ),
                (
                    "held_by",
                    models.CharField(blank=True, default="", max_length=100, verbose_name="waits for the consumer"),
                ),
                ("revision", models.PositiveIntegerField(default=0, verbose_name="operator changes")),
                ("total", models.PositiveIntegerField(default=0, verbose_name="messages")),
                ("left_out", models.PositiveIntegerField(default=0, verbose_name="left out")),
                ("done", models.PositiveIntegerField(default=0, verbose_name="done")),
                ("refused", models.PositiveIntegerField(default=0, verbose_name="refused")),
                ("succeeded", models.PositiveIntegerField(default=0, verbose_name="succeeded")),
                ("failed_again", models.PositiveIntegerField(default=0, verbose_name="failed again")),
                ("not_ready", models.PositiveIntegerField(default=0, verbose_name="not ready")),
                ("overtaken", models.PositiveIntegerField(default=0, verbose_name="overtaken")),
                ("done_before", models.PositiveIntegerField(default=0, editable=False)),
                ("failed_before", models.PositiveIntegerField(default=0, editable=False)),
                ("first_item", models.BigIntegerField(default=0, editable=False)),
                ("last_item", models.BigIntegerField(default=0, editable=False)),
                ("position", models.BigIntegerField(default=0, editable=False)),
                ("watch_position", models.BigIntegerField(default=0, editable=False)),
                ("next_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("chunk_size", models.PositiveSmallIntegerField(default=200, editable=False)),
                ("items_pruned_at", models.DateTimeField(blank=True, null=True, verbose_name="items removed")),
            ],
            options={
                "verbose_name": "bulk operation",
                "verbose_name_plural": "bulk operations",
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                [
                                    "draft",
                                    "waiting",
                                    "canary",
                                    "running",
                                    "suspended",
                                    "paused",
                                    "stopped",
                                    "done",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="outbox_bulkoperation_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at__isnull", False), ("state__in", ["done", "cancelled"])),
                            models.Q(
                                models.Q(("state__in", ["done", "cancelled"]), _negated=True),
                                ("ended_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="outbox_bulkoperation_ended",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "total__gte",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("left_out"), "+", models.F("done")
                                    ),
                                    "+",
                                    models.F("refused"),
                                ),
                            )
                        ),
                        name="outbox_bulkoperation_counts",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkConsumer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "operation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consumers",
                        to="outbox.bulkoperation",
                    ),
                ),
                ("consumer", models.CharField(max_length=100, verbose_name="consumer")),
                ("messages", models.PositiveIntegerField(default=0, verbose_name="messages")),
                ("runs", models.BooleanField(default=False)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("operation", "consumer"), name="outbox_bulkconsumer_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("runs", True)), fields=("consumer",), name="outbox_bulkconsumer_alone"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkItem",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "operation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="outbox.bulkoperation",
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="outbox.message",
                    ),
                ),
                ("revision", models.PositiveIntegerField(verbose_name="revision when frozen")),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0, verbose_name="attempts before")),
                (
                    "result",
                    models.CharField(
                        blank=True,
                        choices=[("done", "done"), ("left_out", "left out"), ("refused", "refused")],
                        db_default="",
                        default="",
                        max_length=8,
                        verbose_name="result",
                    ),
                ),
                (
                    "why",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("started", "the machine is not done with it"),
                            ("closed", "it is closed"),
                            ("not_closed", "nobody has closed it by hand"),
                            ("may_have_acted", "the other side may have acted"),
                            ("no_consumer", "no consumer of that name is in the code"),
                            ("changed", "somebody has changed it since"),
                            ("gone", "it is no longer there"),
                            ("issued", "evidence says that it was issued"),
                            ("business", "the business does not permit it"),
                            ("unfit", "the change does not fit its payload"),
                            ("for_good", "the business cannot take it back"),
                        ],
                        db_default="",
                        default="",
                        max_length=14,
                        verbose_name="why",
                    ),
                ),
                (
                    "said",
                    models.TextField(blank=True, db_default="", default="", verbose_name="what the business said"),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("succeeded", "succeeded"),
                            ("failed", "failed again"),
                            ("not_ready", "not ready"),
                            ("overtaken", "somebody has acted on it since"),
                        ],
                        db_default="",
                        default="",
                        max_length=9,
                        verbose_name="first attempt",
                    ),
                ),
            ],
            options={
                "verbose_name": "item of a bulk operation",
                "verbose_name_plural": "items of bulk operations",
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("message", "operation"), name="outbox_bulkitem_once")],
            },
        ),
        migrations.CreateModel(
            name="BulkRehearsal",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "operation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rehearsals",
                        to="outbox.bulkoperation",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waits for a worker"),
                            ("running", "running"),
                            ("done", "done"),
                            ("stopped", "stopped"),
                            ("failed", "could not be rehearsed"),
                        ],
                        default="waiting",
                        max_length=7,
                        verbose_name="state",
                    ),
                ),
                ("started_by", models.CharField(max_length=150, verbose_name="started by")),
                ("origin", models.CharField(blank=True, default="", max_length=100, verbose_name="from where")),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="started"),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
                ("stopped_by", models.CharField(blank=True, default="", max_length=150, verbose_name="stopped by")),
                (
                    "stopped_because",
                    models.CharField(
                        blank=True,
                        choices=[("operation", "The operation was started, or cancelled.")],
                        default="",
                        max_length=9,
                        verbose_name="stopped because",
                    ),
                ),
                ("error", models.TextField(blank=True, default="", verbose_name="error")),
                ("consumers", models.JSONField(default=list, verbose_name="consumers")),
                ("total", models.PositiveIntegerField(default=0, verbose_name="messages")),
                ("done", models.PositiveIntegerField(default=0, verbose_name="rehearsed")),
                ("results", models.JSONField(default=dict, verbose_name="results")),
                ("codes", models.JSONField(default=dict, verbose_name="digests of the code")),
                ("position", models.BigIntegerField(default=0, editable=False)),
                ("holder", models.CharField(blank=True, default="", editable=False, max_length=32)),
                ("seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("ran_seconds", models.FloatField(default=0.0, editable=False)),
            ],
            options={
                "verbose_name": "rehearsal of a bulk operation",
                "verbose_name_plural": "rehearsals of bulk operations",
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "running", "done", "stopped", "failed"])),
                        name="outbox_bulkrehearsal_state",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["waiting", "running"])),
                        fields=("operation",),
                        name="outbox_bulkrehearsal_alone",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ConsumerState",
            fields=[
                (
                    "consumer",
                    models.CharField(max_length=100, primary_key=True, serialize=False, verbose_name="consumer"),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True, verbose_name="paused")),
                ("paused_by", models.CharField(blank=True, default="", max_length=150, verbose_name="paused by")),
                ("paused_reason", models.TextField(blank=True, default="", verbose_name="reason")),
                ("paused_until", models.DateTimeField(blank=True, null=True, verbose_name="resumes by itself")),
                (
                    "breaker",
                    models.CharField(
                        choices=[("closed", "closed"), ("open", "open")],
                        default="closed",
                        max_length=6,
                        verbose_name="breaker",
                    ),
                ),
                ("canary", models.BigIntegerField(blank=True, null=True, verbose_name="canary")),
                ("probe_at", models.DateTimeField(blank=True, null=True, verbose_name="next probe")),
                ("probe_seconds", models.PositiveSmallIntegerField(default=0, verbose_name="seconds between probes")),
                (
                    "unavailable",
                    models.JSONField(blank=True, default=list, verbose_name="rows in a row that said unavailable"),
                ),
                (
                    "next_call",
                    models.DateTimeField(blank=True, null=True, verbose_name="next call that the rate allows"),
                ),
                ("gone_since", models.DateTimeField(blank=True, null=True, verbose_name="not in the code since")),
            ],
            options={
                "verbose_name": "consumer",
                "verbose_name_plural": "consumers",
                "permissions": [("pause_consumer", "Can pause and resume consumers")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("queue", models.CharField(max_length=255, verbose_name="queue")),
                ("reason", models.CharField(max_length=255, verbose_name="why")),
                ("died_at", models.DateTimeField(blank=True, null=True, verbose_name="when, by the broker's clock")),
                (
                    "seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="first seen"
                    ),
                ),
                ("task_id", models.CharField(blank=True, default="", max_length=255, verbose_name="Celery's task")),
                ("consumer", models.CharField(blank=True, default="", max_length=255, verbose_name="consumer")),
                ("ids", models.JSONField(blank=True, default=list, verbose_name="messages that it named")),
                ("text", models.TextField(blank=True, default="", verbose_name="text")),
                ("discarded_at", models.DateTimeField(blank=True, null=True, verbose_name="discarded")),
                ("discarded_by", models.CharField(blank=True, default="", max_length=150, verbose_name="discarded by")),
            ],
            options={
                "verbose_name": "dead letter",
                "verbose_name_plural": "broker and dead letters",
                "permissions": [("discard_deadletter", "Can discard dead letters")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Evidence",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="outbox.message", verbose_name="message"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("order", "vendor's order number"), ("link", "link"), ("note", "note")],
                        max_length=5,
                        verbose_name="kind",
                    ),
                ),
                ("text", models.CharField(blank=True, max_length=250, verbose_name="evidence")),
                ("digest", models.CharField(blank=True, db_index=True, editable=False, max_length=64)),
                (
                    "salt",
                    models.CharField(
                        blank=True, default=outbox.models.evidence.draw_salt, editable=False, max_length=32
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("issued", "issued outside the system"),
                            ("compensated", "compensated otherwise"),
                            ("not_due", "not due"),
                        ],
                        max_length=11,
                        verbose_name="handled as",
                    ),
                ),
                ("actor", models.CharField(max_length=150, verbose_name="who")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="when")),
                ("retracted_at", models.DateTimeField(blank=True, null=True, verbose_name="called wrong")),
                ("retried_at", models.DateTimeField(blank=True, null=True, verbose_name="retried all the same")),
                ("doubled_at", models.DateTimeField(blank=True, null=True, verbose_name="done by the machine as well")),
                (
                    "acknowledged_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="double issue acknowledged"),
                ),
            ],
            options={
                "verbose_name": "evidence",
                "verbose_name_plural": "evidence",
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(
                            ("acknowledged_at__isnull", True),
                            models.Q(("doubled_at__isnull", False), ("retried_at__isnull", False), _connector="OR"),
                        ),
                        fields=["id"],
                        name="outbox_evidence_doubled",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("outcome", "issued"),
                            ("retracted_at__isnull", True),
                            models.Q(("kind", "note"), _negated=True),
                            models.Q(("digest", ""), _negated=True),
                        ),
                        fields=("digest",),
                        name="outbox_evidence_issued_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Exchange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "message",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="outbox.message",
                        verbose_name="message",
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="attempt")),
                ("position", models.PositiveSmallIntegerField(verbose_name="position")),
                ("request", models.TextField(blank=True, default="", verbose_name="request")),
                ("answer", models.TextField(blank=True, default="", verbose_name="answer")),
                (
                    "at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="written"),
                ),
            ],
            options={
                "verbose_name": "exchange",
                "verbose_name_plural": "exchanges",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("message", "number", "position"), name="outbox_exchange_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="FailureGroup",
            fields=[
                (
                    "fingerprint",
                    models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name="fingerprint"),
                ),
                ("consumer", models.CharField(max_length=100, verbose_name="consumer")),
                ("exception", models.CharField(blank=True, default="", max_length=200, verbose_name="exception")),
                ("place", models.CharField(blank=True, default="", max_length=200, verbose_name="place")),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("no_tries_left", "no tries left"),
                            ("timed_out", "timed out: its handler took longer than the consumer's timeout"),
                            ("rejected", "rejected"),
                            ("worker_lost", "its worker did not settle it in time, again and again"),
                            ("expired", "expired: the deadline passed before it succeeded"),
                            ("consumer_gone", "the consumer is not in the code any more"),
                            (
                                "may_have_happened",
                                "may have happened: its worker was lost in the call, and it is never called twice",
                            ),
                            (
                                "effect_unknown",
                                "may have happened: an earlier call began its effect, and nobody knows how that ended",
                            ),
                            ("ended_transaction", "its handler ended the transaction in which it was called"),
                            (
                                "not_taken",
                                "no worker took it: its hints went into an empty queue, again and again, and it was never started",
                            ),
                            ("unroutable", "unroutable: its exchange had no queue for it, again and again"),
                            ("refused", "refused: the broker closes the channel over it, again and again"),
                            (
                                "no_receipt",
                                "no receipt: it was sent, and its receiver said nothing in time, again and again",
                            ),
                        ],
                        db_default="",
                        default="",
                        max_length=17,
                        verbose_name="why the machine gave up",
                    ),
                ),
                ("title", models.CharField(max_length=300, verbose_name="what happened")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "new"),
                            ("investigating", "being looked into"),
                            ("waiting", "waiting for a fix"),
                            ("ignored", "ignored until it grows"),
                            ("fixed", "fixed"),
                        ],
                        default="new",
                        max_length=13,
                        verbose_name="state",
                    ),
                ),
                ("ignored_up_to", models.PositiveIntegerField(blank=True, null=True, verbose_name="ignored up to")),
                ("regressions", models.PositiveIntegerField(default=0, verbose_name="came back")),
                ("owner", models.CharField(blank=True, default="", max_length=150, verbose_name="owner")),
                ("ticket", models.CharField(blank=True, default="", max_length=300, verbose_name="ticket")),
                ("note", models.TextField(blank=True, default="", verbose_name="note")),
                (
                    "first_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="first"),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="members",
                        to="outbox.failuregroup",
                        verbose_name="merged into",
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=0, verbose_name="operator changes")),
            ],
            options={
                "verbose_name": "failure group",
                "verbose_name_plural": "failure groups",
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="FailureCount",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="counts",
                        to="outbox.failuregroup",
                    ),
                ),
                ("slot", models.PositiveSmallIntegerField()),
                ("count", models.BigIntegerField(default=0)),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("group", "slot"), name="outbox_failurecount_once")],
            },
        ),
        migrations.CreateModel(
            name="FailureHour",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hours",
                        to="outbox.failuregroup",
                    ),
                ),
                ("hour", models.IntegerField()),
                ("slot", models.PositiveSmallIntegerField()),
                ("count", models.BigIntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["hour"], name="outbox_failurehour_hour")],
                "constraints": [
                    models.UniqueConstraint(fields=("group", "hour", "slot"), name="outbox_failurehour_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="WatchedStream",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source", models.CharField(max_length=50, verbose_name="source")),
                ("stream", models.CharField(max_length=356, verbose_name="stream")),
                ("epoch", models.CharField(max_length=32, verbose_name="epoch")),
                ("begin", models.PositiveBigIntegerField(default=0, verbose_name="watched from")),
                ("high", models.PositiveBigIntegerField(default=0, verbose_name="highest number known")),
                ("missing", models.JSONField(default=list, editable=False)),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="since"),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last came"
                    ),
                ),
                ("beat_at", models.DateTimeField(blank=True, null=True, verbose_name="last heartbeat")),
            ],
            options={
                "verbose_name": "watched stream",
                "verbose_name_plural": "watched streams",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("source", "stream", "epoch"), name="outbox_watchedstream_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Gap",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "watched",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="gaps",
                        to="outbox.watchedstream",
                        verbose_name="stream",
                    ),
                ),
                ("first", models.PositiveBigIntegerField(verbose_name="first number")),
                ("last", models.PositiveBigIntegerField(verbose_name="last number")),
                (
                    "said",
                    models.CharField(
                        choices=[
                            ("sent", "it was sent, and its broker has confirmed it"),
                            ("failed", "it has failed there, and waits for a person"),
                            ("open", "it is being sent again"),
                        ],
                        max_length=6,
                        verbose_name="what the sender says",
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="missed since"
                    ),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="closed")),
                (
                    "end",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "not closed"),
                            ("came", "it has come"),
                            ("void", "it will never come, says the sender"),
                            ("person", "a person has seen to it"),
                        ],
                        default="",
                        max_length=6,
                        verbose_name="how it was closed",
                    ),
                ),
                ("closed_by", models.CharField(blank=True, default="", max_length=150, verbose_name="closed by")),
            ],
            options={
                "verbose_name": "gap",
                "verbose_name_plural": "gaps",
                "permissions": [("close_gap", "Can close gaps in the numbers of a source")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("closed_at__isnull", True)),
                        fields=["watched", "first"],
                        name="outbox_gap_open",
                    ),
                    models.Index(
                        condition=models.Q(("closed_at__isnull", False)), fields=["closed_at"], name="outbox_gap_old"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("closed_at__isnull", True), ("end", "")),
                            models.Q(("closed_at__isnull", False), models.Q(("end", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="outbox_gap_closed",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("first__lte", models.F("last"))), name="outbox_gap_range"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Half",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "write_id",
                    models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="id of the write"),
                ),
                ("topic", models.CharField(max_length=200, verbose_name="topic")),
                ("key", models.CharField(max_length=200, verbose_name="business id")),
                ("payload_json", models.TextField(verbose_name="payload")),
                ("headers_json", models.TextField(default="{}")),
                ("ordering_key", models.CharField(blank=True, default="", max_length=200, verbose_name="ordering key")),
                ("value", models.DecimalField(blank=True, decimal_places=4, max_digits=15, null=True)),
                ("currency", models.CharField(blank=True, default="", max_length=8)),
                (
                    "otherwise",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="topic if it is taken back"),
                ),
                ("check_name", models.CharField(max_length=100, verbose_name="check")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("unknown", "unknown"),
                            ("published", "published"),
                            ("taken_back", "taken back"),
                        ],
                        default="open",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                (
                    "prepared_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="prepared"),
                ),
                ("check_at", models.DateTimeField(blank=True, null=True, verbose_name="next question")),
                ("asked_at", models.DateTimeField(blank=True, null=True, verbose_name="under way since")),
                ("asked", models.PositiveIntegerField(default=0, verbose_name="questions")),
                ("fruitless", models.PositiveIntegerField(default=0, verbose_name="questions that count")),
                ("settled_at", models.DateTimeField(blank=True, null=True, verbose_name="settled")),
                (
                    "settled_by",
                    models.CharField(
                        blank=True,
                        choices=[("producer", "its producer"), ("check", "its check"), ("person", "a person")],
                        default="",
                        max_length=8,
                        verbose_name="settled by",
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=0)),
            ],
            options={
                "verbose_name": "half message",
                "verbose_name_plural": "half messages",
                "permissions": [("decide_half", "Can publish half messages and take them back")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(condition=models.Q(("state", "open")), fields=["check_at"], name="outbox_half_due"),
                    models.Index(
                        condition=models.Q(("state", "unknown")), fields=["prepared_at"], name="outbox_half_unknown"
                    ),
                    models.Index(fields=["settled_at"], name="outbox_half_settled_at"),
                    models.Index(fields=["state", "-id"], name="outbox_half_list"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "unknown", "published", "taken_back"])),
                        name="outbox_half_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("check_at__isnull", False), ("state", "open")),
                            models.Q(models.Q(("state", "open"), _negated=True), ("check_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="outbox_half_check_at",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("settled_at__isnull", True), ("settled_by", ""), ("state__in", ["open", "unknown"])
                            ),
                            models.Q(("settled_at__isnull", False), ("state__in", ["published", "taken_back"])),
                            _connector="OR",
                        ),
                        name="outbox_half_settled",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HalfAnswer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "half",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="answers",
                        to="outbox.half",
                        verbose_name="half message",
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                (
                    "said",
                    models.CharField(
                        choices=[
                            ("asked", "asked, not answered yet"),
                            ("yes", "it was written"),
                            ("no", "it was not written, and never will be"),
                            ("not_yet", "not known yet"),
                            ("unavailable", "the other side cannot be asked"),
                            ("error", "the check failed"),
                            ("wrong", "the check answered something else than True, False or None"),
                            ("silent", "no answer within the time limit"),
                            ("late", "answered too late"),
                            ("missing", "the check is not in the code"),
                            ("refused", "it was written, and the message could not be published"),
                        ],
                        default="asked",
                        max_length=11,
                        verbose_name="answer",
                    ),
                ),
                ("detail", models.TextField(blank=True, default="", verbose_name="details")),
                ("worker", models.CharField(blank=True, default="", max_length=100, verbose_name="worker")),
                (
                    "at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="asked"),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True, verbose_name="answered")),
            ],
            options={
                "verbose_name": "answer of a check",
                "verbose_name_plural": "answers of checks",
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("half", "number"), name="outbox_halfanswer_once")],
            },
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("name", models.CharField(max_length=50, primary_key=True, serialize=False, verbose_name="chore")),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last success"
                    ),
                ),
                (
                    "since",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="known since"
                    ),
                ),
                ("data", models.JSONField(blank=True, default=dict, verbose_name="details")),
            ],
            options={
                "verbose_name": "heartbeat",
                "verbose_name_plural": "heartbeats",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="InHand",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("times", models.PositiveSmallIntegerField(default=1)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
            ],
            options={"default_permissions": ()},
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
                "constraints": [models.UniqueConstraint(fields=("minute", "consumer"), name="outbox_minutestat_once")],
            },
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="note",
                        serialize=False,
                        to="outbox.message",
                        verbose_name="message",
                    ),
                ),
                ("owner", models.CharField(blank=True, default="", max_length=150, verbose_name="who sees to it")),
                ("text", models.TextField(blank=True, default="", verbose_name="note")),
                ("revision", models.PositiveIntegerField(default=0, verbose_name="operator changes")),
                (
                    "at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="written"),
                ),
            ],
            options={
                "verbose_name": "note",
                "verbose_name_plural": "notes",
                "permissions": [("note_message", "Can write on messages who sees to them and what is known")],
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("owner", ""), _negated=True),
                        fields=["owner", "message"],
                        name="outbox_note_owner",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PayloadVersion",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "message",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="outbox.message",
                        verbose_name="message",
                    ),
                ),
                ("revision", models.PositiveIntegerField(verbose_name="revision")),
                ("payload", models.JSONField(verbose_name="payload")),
                ("drawn_key", models.UUIDField(editable=False, verbose_name="idempotency key")),
                ("edited_by", models.CharField(max_length=150, verbose_name="edited by")),
                (
                    "edited_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="edited"),
                ),
            ],
            options={
                "verbose_name": "earlier payload",
                "verbose_name_plural": "earlier payloads",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("message", "revision"), name="outbox_payloadversion_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Places",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("worker", models.CharField(max_length=100, verbose_name="worker")),
                ("consumer", models.CharField(max_length=100, verbose_name="consumer")),
                ("width", models.PositiveIntegerField(verbose_name="places")),
                ("taken", models.PositiveIntegerField(verbose_name="places taken")),
                ("stuck", models.PositiveIntegerField(default=0, verbose_name="calls given up that still run")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="said")),
            ],
            options={
                "verbose_name": "places of a worker",
                "verbose_name_plural": "places of workers",
                "default_permissions": ("view",),
                "constraints": [models.UniqueConstraint(fields=("consumer", "worker"), name="outbox_places_once")],
            },
        ),
        migrations.CreateModel(
            name="Quarantined",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source", models.CharField(max_length=50, verbose_name="source")),
                ("queue", models.CharField(max_length=255, verbose_name="queue")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("no_id", "it has no message id"),
                            ("no_json", "its body is no JSON"),
                            ("not_told", "the project's function could not tell topic, id or ordering key"),
                            ("unknown_topic", "no consumer listens to its topic"),
                            ("too_large", "it is too large"),
                            ("other_content", "its id is known with other content"),
                            ("not_storable", "it cannot be stored as it is"),
                            ("goes_round", "it went round too often"),
                            ("ends_receiver", "the receiver ended over it, more than once"),
                        ],
                        max_length=20,
                        verbose_name="reason",
                    ),
                ),
                ("error", models.TextField(blank=True, default="", verbose_name="details")),
                ("sender_id", models.CharField(blank=True, default="", max_length=255, verbose_name="sender's id")),
                ("topic", models.CharField(blank=True, default="", max_length=200, verbose_name="topic")),
                ("body", models.BinaryField(verbose_name="body")),
                ("properties", models.JSONField(default=dict, verbose_name="properties")),
                ("headers", models.JSONField(default=dict, verbose_name="headers")),
                ("delivery", models.JSONField(default=dict, verbose_name="delivery")),
                ("size", models.PositiveBigIntegerField(verbose_name="bytes")),
                ("digest", models.UUIDField(editable=False)),
                ("times", models.PositiveIntegerField(default=1, verbose_name="deliveries")),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "waits for a person"), ("taken_in", "taken in"), ("discarded", "discarded")],
                        default="open",
                        max_length=9,
                        verbose_name="state",
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="quarantined"
                    ),
                ),
                (
                    "last_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last delivered"
                    ),
                ),
                ("settled_at", models.DateTimeField(blank=True, null=True, verbose_name="settled")),
                ("settled_by", models.CharField(blank=True, default="", max_length=150, verbose_name="settled by")),
            ],
            options={
                "verbose_name": "quarantined message",
                "verbose_name_plural": "quarantine",
                "permissions": [("settle_quarantined", "Can take in or discard what is quarantined")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "open"), _negated=True),
                        fields=["settled_at"],
                        name="outbox_quarantined_settled",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "taken_in", "discarded"])),
                        name="outbox_quarantined_state",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")),
                        fields=("source", "digest"),
                        name="outbox_quarantined_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReceiptCount",
            fields=[
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("consumed", "consumed"),
                            ("failed", "failed"),
                            ("rejected", "rejected"),
                            ("doubled", "consumed, although it was closed by hand"),
                            ("settled", "its message was settled already"),
                            ("late", "of an attempt that is not under way"),
                            ("unknown", "unknown message id"),
                            ("receiver", "not from the receiver that is waited for"),
                            ("signature", "wrong signature"),
                            ("malformed", "no receipt, or one that cannot be"),
                        ],
                        max_length=9,
                        primary_key=True,
                        serialize=False,
                        verbose_name="kind",
                    ),
                ),
                ("many", models.PositiveBigIntegerField(default=0, verbose_name="receipts")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="last")),
                ("said", models.CharField(blank=True, default="", max_length=300)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("owner", models.CharField(max_length=150, verbose_name="whose")),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("query", models.CharField(blank=True, default="", max_length=1000, verbose_name="address")),
                ("is_shared", models.BooleanField(default=False, verbose_name="shared with all")),
                ("revision", models.PositiveIntegerField(default=0, verbose_name="operator changes")),
                (
                    "at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="saved"),
                ),
            ],
            options={
                "verbose_name": "saved view",
                "verbose_name_plural": "saved views",
                "permissions": [
                    ("save_view", "Can save views of the work queue and share them"),
                    ("tend_views", "Can rename and delete views that others share"),
                ],
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_shared", True)), fields=["is_shared"], name="outbox_savedview_shared"
                    )
                ],
                "constraints": [models.UniqueConstraint(fields=("owner", "name"), name="outbox_savedview_once")],
            },
        ),
        migrations.CreateModel(
            name="SequenceStream",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("forward", models.CharField(max_length=100, verbose_name="forward")),
                ("routing_key", models.CharField(blank=True, default="", max_length=255, verbose_name="routing key")),
                ("epoch", models.CharField(max_length=32, verbose_name="epoch")),
                ("origin", models.CharField(blank=True, default="", editable=False, max_length=100)),
                ("is_current", models.BooleanField(default=True, verbose_name="goes on")),
                ("given", models.PositiveBigIntegerField(default=0, verbose_name="highest number")),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="since"),
                ),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="next heartbeat"
                    ),
                ),
                ("said_at", models.DateTimeField(blank=True, null=True, verbose_name="last heartbeat")),
                ("error", models.TextField(blank=True, default="", verbose_name="why it was not sent")),
            ],
            options={
                "verbose_name": "numbered stream",
                "verbose_name_plural": "numbered streams",
                "permissions": [("begin_epoch", "Can begin the numbers of streams anew")],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_current", True)),
                        fields=("forward", "routing_key"),
                        name="outbox_sequencestream_current",
                    ),
                    models.UniqueConstraint(
                        fields=("forward", "routing_key", "epoch"), name="outbox_sequencestream_once"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SequenceNumber",
            fields=[
                ("message_id", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "stream",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="outbox.sequencestream"
                    ),
                ),
                ("number", models.PositiveBigIntegerField(verbose_name="number")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "not settled yet"),
                            ("sent", "confirmed by the broker"),
                            ("void", "will never come; said to the receivers"),
                        ],
                        default="open",
                        max_length=4,
                        verbose_name="state",
                    ),
                ),
                ("settled_at", models.DateTimeField(blank=True, null=True, verbose_name="settled")),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["stream", "number"],
                        name="outbox_sequencenumber_open",
                    ),
                    models.Index(
                        condition=models.Q(("state", "open"), _negated=True),
                        fields=["settled_at"],
                        name="outbox_sequencenumber_old",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("stream", "number"), name="outbox_sequencenumber_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("settled_at__isnull", True), ("state", "open")),
                            models.Q(("settled_at__isnull", False), ("state__in", ["sent", "void"])),
                            _connector="OR",
                        ),
                        name="outbox_sequencenumber_state",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SourceState",
            fields=[
                ("source", models.CharField(max_length=50, primary_key=True, serialize=False, verbose_name="source")),
                ("taken", models.PositiveBigIntegerField(default=0, verbose_name="taken in")),
                ("known", models.PositiveBigIntegerField(default=0, verbose_name="delivered again")),
                ("quarantined", models.PositiveBigIntegerField(default=0, verbose_name="quarantined")),
                (
                    "hold",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "nothing: messages are taken in"),
                            ("high_water", "too many of its messages are unfinished"),
                            ("quarantine", "the quarantine is full"),
                            ("broker", "its broker does not answer"),
                            ("refused", "its broker refuses the queue"),
                            ("database", "our database does not take it"),
                            ("stopped", "the receiver was stopped"),
                        ],
                        default="",
                        max_length=10,
                        verbose_name="held up by",
                    ),
                ),
                ("said", models.TextField(blank=True, default="", verbose_name="details")),
                ("hold_since", models.DateTimeField(blank=True, null=True, verbose_name="held up since")),
                (
                    "since",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="known since"
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last said"
                    ),
                ),
                ("last_taken_at", models.DateTimeField(blank=True, null=True, verbose_name="last taken in")),
            ],
            options={"verbose_name": "source", "verbose_name_plural": "sources", "default_permissions": ("view",)},
        ),
        migrations.CreateModel(
            name="TakenId",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("content", models.UUIDField(editable=False)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), db_index=True, editable=False
                    ),
                ),
            ],
            options={"default_permissions": ()},
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
            options={"verbose_name": "total", "verbose_name_plural": "totals", "default_permissions": ("view",)},
        ),
        migrations.RunPython(on_postgresql(STORAGE), on_postgresql(DEFAULTS)),
        migrations.RunPython(on_postgresql(GUARD), on_postgresql(NO_GUARD)),
        migrations.RunPython(on_postgresql(COMMIT_GUARD), on_postgresql(NO_COMMIT_GUARD)),
        migrations.RunPython(on_postgresql(TAKE_TURN), on_postgresql(NO_TAKE_TURN)),
    ]
