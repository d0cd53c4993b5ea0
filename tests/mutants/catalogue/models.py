"""Rules that stand in the queries: who may start what, and whose result counts."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "no attempt starts before its time",
        Change("models/queryset.py", "status=Status.PENDING, not_before__lte=Now(), ", "status=Status.PENDING, "),
        red=["delivery/test_hints::test_a_duplicate_hint_does_not_start_a_message_before_its_time"],
    ),
    mutant(
        "no attempt starts after the deadline",
        Change("models/queryset.py", "not_before__lte=Now(), expires_at__gt=Now())", "not_before__lte=Now())"),
        red=["maintenance/test_deadlines::test_a_message_is_not_started_after_its_deadline"],
    ),
    mutant(
        "a start resets the sends",
        Change(
            "models/sql/statements.py",
            "attempts = message.attempts + 1, sends = 0, ",
            "attempts = message.attempts + 1, ",
        ),
        red=["maintenance/test_send_limit::test_a_start_resets_the_sends"],
    ),
    mutant(
        "settling asks for the attempt",
        Change(
            "models/sql/conditions.py",
            '__init__(F("id"), F("attempts"), Value(ids)',
            '__init__(F("id"), Value(attempts), Value(ids)',
        ),
        red=[
            "delivery/test_overtaken::test_a_worker_overtaken_before_it_handled_has_no_effect",
            "delivery/test_protocol::test_no_history_breaks_an_invariant",
        ],
    ),
    mutant(
        "settling asks for the status",
        Change("models/queryset.py", "Ours(ids, attempts), status=Status.STARTED)", "Ours(ids, attempts))"),
        red=[
            "delivery/test_overtaken::test_a_worker_whose_row_was_taken_back_has_no_effect",
            "delivery/test_stale_workers::test_a_stale_success_is_refused_and_kept_as_late",
        ],
    ),
    mutant(
        "a chunk does not wait long for locks",
        Change("models/sql/statements.py", "Given.WAIT: str(wait // MILLISECOND)", 'Given.WAIT: "0"'),
        red=["delivery/test_conflicts::test_a_row_that_waits_too_long_for_a_lock_is_redone_alone_and_spends_nothing"],
    ),
    mutant(
        "a start skips what others have locked",
        Change(
            "models/sql/statements.py",
            'lock = "FOR NO KEY UPDATE SKIP LOCKED" if',
            'lock = "FOR NO KEY UPDATE NOWAIT" if',
        ),
        red=["delivery/test_overtaken::test_a_row_being_started_by_another_worker_is_skipped_without_waiting"],
    ),
    mutant(
        "a start counts and leases exactly the rows that it has locked",
        Change(
            "models/sql/statements.py",
            "AS MATERIALIZED ({picked} LIMIT %s {lock})",
            "AS NOT MATERIALIZED ({picked} LIMIT %s)",
        ),
        red=["delivery/test_overtaken::test_two_hints_for_the_same_rows_at_once_start_each_row_once"],
    ),
    mutant(
        "handling locks FOR NO KEY UPDATE",
        Change("models/sql/statements.py", "select_for_update(no_key=True)", "select_for_update()"),
        red=["delivery/test_overtaken::test_a_row_that_is_being_handled_does_not_block_those_who_refer_to_it"],
    ),
    mutant(
        "paused consumers start nothing",
        Change("models/queryset.py", "self.filter(~Exists(states.paused()), flows)", "self.filter(flows)"),
        red=["delivery/test_hints::test_a_paused_consumer_starts_nothing"],
    ),
    mutant(
        "a failed head holds its key back",
        Change("models/sql/conditions.py", "(finished_at IS NULL OR exhausted_at IS NOT NULL)", "finished_at IS NULL"),
        red=["delivery/test_ordering_keys::test_a_failed_head_holds_its_key_back_until_a_person_has_acted"],
    ),
    mutant(
        "a wait does not put the deadline off",
        Change("models/queryset.py", 'due_at = Least(then, F("expires_at")) if', "due_at = then if"),
        red=["maintenance/test_deadlines::test_a_wait_beyond_the_deadline_does_not_put_the_deadline_off"],
    ),
    mutant(
        "behind an open breaker only the canary starts",
        Change("models/queryset.py", "flows = Q(~Exists(states.open()))", "flows = Q(pk__gte=0)"),
        red=["delivery/test_canary::test_only_the_canary_starts_and_its_chunk_is_not_topped_up"],
    ),
    mutant(
        "the lock of a chunk is waited for no longer than said",
        Change(
            "models/sql/statements.py",
            "ours.filter(WaitsNoLonger()).filter(RunsNoLonger()) if",
            "ours.filter(RunsNoLonger()) if",
        ),
        red=["delivery/test_drivers::test_the_lock_of_a_chunk_is_waited_for_no_longer_than_said"],
    ),
    mutant(
        "what is fetched from is sent alone",
        Change(
            "models/sql/backlog.py",
            "            cursor.execute(sql, params)\n            rows",
            '            cursor.execute(f"SELECT 1; {sql}", params)\n            rows',
        ),
        red=["delivery/test_drivers::test_what_is_fetched_from_is_sent_alone"],
    ),
]
