"""Rules of handling and settling."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "a lost row starts only if the hint names it alone",
        Change("delivery/starting.py", "Start(named if alone else named.filter(lost=0))", "Start(named)"),
        red=["delivery/test_top_up::test_a_lost_row_is_not_started_by_a_hint_of_several"],
    ),
    mutant(
        "a lost row starts alone, without a top-up",
        Change("delivery/chunks.py", "if any(row.lost for row in named):", "if False:"),
        red=["delivery/test_top_up::test_a_lost_row_starts_alone_without_a_top_up"],
    ),
    mutant(
        "a hint whose time is up sends another in its place",
        Change("delivery/chunks.py", "    dispatcher.dispatch({consumer.name: ()})\n", "    pass\n"),
        red=["delivery/test_top_up::test_a_hint_whose_time_is_up_sends_another_in_its_place"],
    ),
    mutant(
        "a hint leaves its place to others when its time is up",
        Change("delivery/chunks.py", "if not following and monotonic() >= deadline:\n", "if False:\n"),
        red=["delivery/test_top_up::test_a_hint_whose_time_is_up_sends_another_in_its_place"],
    ),
    mutant(
        "a top-up takes no lost rows",
        Change("delivery/starting.py", "canary=False).filter(lost=0).due", "canary=False).due"),
        red=[
            "delivery/test_top_up::test_a_top_up_leaves_what_is_not_due_soon_lost_held_by_others_or_of_another_consumer"
        ],
    ),
    mutant(
        "a chunk does at least one row",
        Change(
            "delivery/atomic.py",
            "if turn and (turn >= room or monotonic() - began >= time):",
            "if turn >= room or monotonic() - began >= time:",
        ),
        red=["delivery/test_chunks::test_a_chunk_that_has_waited_for_its_turn_still_does_at_least_one_row"],
    ),
    mutant(
        "a stale result is refused",
        Change(
            "delivery/settling.py",
            "settings=settings) != len(succeeded)",
            "settings=settings) > len(succeeded)",
        ),
        red=["delivery/test_stale_workers::test_a_stale_success_is_refused_and_kept_as_late"],
    ),
    mutant(
        "a stale failure is refused",
        Change("delivery/settling.py", "    if changed != len(reports):\n", "    if changed is None:\n"),
        red=["delivery/test_stale_workers::test_a_stale_failure_is_refused_and_kept_as_late"],
    ),
    mutant(
        "a refused result is kept as late",
        Change(
            "delivery/non_atomic.py",
            "        settling.record_late(report)\n        return False\n",
            "        return False\n",
        ),
        red=["delivery/test_stale_workers::test_a_stale_success_is_refused_and_kept_as_late"],
    ),
    mutant(
        "a stale worker's settling writes nothing",
        Change(
            "delivery/non_atomic.py",
            "if not statements.succeed([message.fence]):",
            "if statements.succeed([message.fence]) > 1:",
        ),
        red=["delivery/test_stale_workers::test_a_stale_worker_s_settling_raises_superseded_and_writes_nothing"],
    ),
    mutant(
        "a handler runs in a savepoint of its own",
        Change(
            "delivery/savepoints.py",
            "del connection.run_on_commit[hooks_before:]\n            self._roll_back()\n",
            "del connection.run_on_commit[hooks_before:]\n",
        ),
        red=["delivery/test_chunks::test_one_failing_row_among_49_good_ones_takes_back_only_its_own_effects"],
    ),
    mutant(
        "a row whose database error was swallowed has not succeeded",
        Change("delivery/savepoints.py", "if hides_an_error(connection):", "if False:"),
        Change("delivery/non_atomic.py", "            self._refuse_lost_success()\n", ""),
        red=[
            "delivery/test_execution::test_a_handler_that_swallows_a_database_error_has_not_succeeded",
            "delivery/test_non_atomic::test_a_database_error_swallowed_inside_settling_is_a_failed_attempt",
        ],
    ),
    mutant(
        "a chunk that fails is redone row by row",
        Change(
            "delivery/atomic.py",
            "        sessions.restore_after_errors()\n        return fences, []\n",
            "        sessions.restore_after_errors()\n        return [], []\n",
        ),
        red=["delivery/test_chunks::test_a_constraint_that_fails_only_at_commit_fails_only_its_own_row"],
    ),
    mutant(
        "a row that fails at COMMIT is settled in a transaction of its own",
        Change(
            "delivery/atomic.py",
            "    return _fail(consumer, fence, rest, problem, called=chunk.messages)\n",
            "    return rest\n",
        ),
        red=[
            "delivery/test_chunks::test_a_constraint_that_fails_only_at_commit_fails_only_its_own_row",
            "delivery/test_chunks::test_a_constraint_that_fails_at_commit_again_and_again_is_exhausted",
        ],
    ),
    mutant(
        "the lease is renewed for a redo",
        Change("delivery/atomic.py", ".renew(consumer.lease + consumer.timeout)", ".count()"),
        red=["delivery/test_chunks::test_the_lease_is_renewed_before_rows_are_redone_one_by_one"],
    ),
    mutant(
        "deadlocks and serialization failures spend no attempt",
        Change("models/sql/errors.py", "return sqlstate(error) in CONFLICTS", "return False"),
        red=[
            "delivery/test_conflicts::test_a_row_that_waits_too_long_for_a_lock_is_redone_alone_and_spends_nothing",
            "delivery/test_conflicts::test_the_victim_of_a_deadlock_is_redone_and_spends_nothing",
            "delivery/test_conflicts::test_a_serialization_failure_is_redone_and_spends_nothing",
        ],
    ),
    mutant(
        "a start heals a connection that broke while idle",
        Change(
            "delivery/starting.py",
            "        _break_off()\n        strays.give_back(worker_name())\n        return numbering.numbered(",
            "        raise\n        return numbering.numbered(",
        ),
        red=["delivery/test_world_down::test_rows_are_started_although_the_session_has_turned_read_only"],
    ),
    mutant(
        "a hint starts no more than a chunk",
        Change(
            "delivery/starting.py",
            "return named.run(ids=ids, limit=consumer.chunk, ",
            "return named.run(ids=ids, limit=len(ids), ",
        ),
        red=["delivery/test_hints::test_a_forged_hint_starts_no_more_than_a_chunk"],
    ),
    mutant(
        "only the head of an ordered key starts",
        Change("delivery/starting.py", ".pending().at_head()", ".pending()"),
        red=[
            "delivery/test_ordering_keys::test_only_the_head_of_a_key_starts_however_the_hint_names_them",
            "delivery/test_ordering_keys::test_a_head_that_backs_off_holds_its_key_back_and_no_other",
        ],
    ),
    mutant(
        "three different rows open the breaker",
        Change("delivery/breaker.py", "        if row in self.unavailable:\n            return self\n", ""),
        red=["delivery/test_canary::test_one_row_that_says_so_again_and_again_does_not"],
    ),
    mutant(
        "one canary per probe",
        Change("delivery/breaker.py", "breaker=Breaker.OPEN, probe_at__lte=Now())", "breaker=Breaker.OPEN)"),
        red=[
            "delivery/test_canary::test_behind_an_open_breaker_the_rescan_sends_one_canary_per_probe",
            "delivery/test_canary::test_of_four_overlapping_rescans_one_sends_the_canary",
        ],
    ),
    mutant(
        "a failed attempt is an error in the log, with its traceback",
        Change("delivery/settling.py", "if report.exception is not None:", "if report.exception is report:"),
        red=[
            "delivery/test_execution::test_a_failed_attempt_is_one_error_with_its_traceback_and_a_wait_is_none",
        ],
    ),
    mutant(
        "a Snooze without a span costs no attempt",
        Change(
            "errors.py",
            "self.after = SNOOZE_INSTEAD if self.mistaken else after",
            "self.after = after + timedelta(0)",
        ),
        red=["delivery/test_execution::test_a_snooze_without_a_span_waits_a_minute_costs_no_attempt_and_says_so"],
    ),
]
