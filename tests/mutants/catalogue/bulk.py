"""Rules of bulk operations: each row once, as it was frozen, and never past what stops an operation."""

from tests.mutants.mutant import Change, mutant

PREPARING, RUNNING, STOPPING, APPROVAL, CHORE = (
    f"bulk/test_{name}::" for name in ("preparing", "running", "canary_and_stop", "approval", "chore")
)
CHUNKS = "bulk/chunks.py"

MUTANTS = [
    mutant(
        "a row of a bulk operation is compared with the revision that was frozen",
        Change(CHUNKS, "elif message.revision != item.revision:", "elif False:"),
        Change(CHUNKS, "        if revision != item.revision:\n", "        if False:\n"),
        red=[f"{STOPPING}test_a_row_that_was_reopened_since_is_not_done_again"],
    ),
    mutant(
        "a chunk's results commit with its changes",
        Change(
            CHUNKS,
            "    _apply(operation, sorted_out.able)\n",
            "    _apply(operation, sorted_out.able)\n    transaction.get_connection(conf().database).commit()\n",
        ),
        Change(
            CHUNKS,
            "    with transaction.atomic(using=conf().database):\n        rows = BulkOperation",
            "    if True:\n        rows = BulkOperation",
        ),
        red=[f"{RUNNING}test_a_worker_killed_at_any_point_of_a_chunk_leaves_nothing_half_done[_apply]"],
    ),
    mutant(
        "what somebody holds is left for a later chunk",
        Change(
            CHUNKS,
            "            found.append((Why.STARTED if unfinished else Why.CLOSED, item))\n",
            "            found.append((Why.STARTED if unfinished else Why.CLOSED, item))\n"
            "        else:\n            found.append((Why.CHANGED, item))\n",
        ),
        red=[f"{RUNNING}test_a_row_that_somebody_holds_is_done_later_and_nobody_waits_for_it"],
    ),
    mutant(
        "a bulk operation keeps to its rate",
        Change(CHUNKS, "        limits.append(_permitted_by_rate(operation, now))\n", "        pass\n"),
        red=[f"{RUNNING}test_a_rate_permits_no_more_than_it_says"],
    ),
    mutant(
        "operations go on in one thread of a process",
        Change(
            "bulk/runner.py",
            "            if self._thread is not None and self._thread.is_alive():\n                return\n",
            "",
        ),
        red=["bulk/test_runner::test_every_tick_finds_the_one_thread_there"],
    ),
    mutant(
        "the thread of operations ends with them",
        Change(
            "bulk/runner.py",
            "                if not running.go_on():\n                    return\n",
            "                running.go_on()\n",
        ),
        red=["bulk/test_runner::test_the_thread_ends_with_the_last_operation"],
    ),
    mutant(
        "no more than a fifth of a second of a rate is made up for",
        Change(
            CHUNKS,
            "    since = max(operation.next_at, now - RATE_SPAN)\n    permitted",
            "    since = operation.next_at\n    permitted",
        ),
        red=[f"{RUNNING}test_a_rate_permits_no_more_than_it_says"],
    ),
    mutant(
        "a bulk operation waits for a consumer that is paused or whose breaker is open",
        Change("bulk/transitions.py", "states.paused() | states.open()", "states.paused()"),
        red=[f"{RUNNING}test_while_a_consumer_is_paused_or_its_breaker_open_the_operation_waits_and_says_so"],
    ),
    mutant(
        "of a consumer one bulk operation runs at a time",
        Change(
            "bulk/transitions.py",
            "            ours.filter(runs=False).update(runs=True)\n",
            "            pass\n",
        ),
        red=[f"{RUNNING}test_of_a_consumer_one_operation_runs_at_a_time_and_the_second_is_told"],
    ),
    mutant(
        "a trial takes heads of their ordering keys alone",
        Change(CHUNKS, ".exhausted().at_head()", ".exhausted()"),
        red=[f"{STOPPING}test_a_trial_takes_what_can_run_now"],
    ),
    mutant(
        "a trial of which one fails stops the operation",
        Change("bulk/transitions.py", "operation.succeeded < operation.done or", "False or"),
        red=[f"{STOPPING}test_a_trial_of_which_one_fails_stops_and_an_operator_may_let_it_go_on"],
    ),
    mutant(
        "while a stop rule is on no more than a chunk is without an outcome",
        Change(CHUNKS, "        limits.append(WINDOW - operation.awaited)\n", "        pass\n"),
        red=[f"{STOPPING}test_while_a_stop_rule_is_on_no_more_than_a_chunk_is_without_an_outcome"],
    ),
    mutant(
        "a stop rule counts anew when an operator lets the operation go on",
        Change("bulk/operations.py", '"failed_before": F("failed_again")', '"failed_before": F("failed_before")'),
        red=[f"{STOPPING}test_after_an_operator_let_it_go_on_the_stop_rule_counts_anew"],
    ),
    mutant(
        "an outcome is that of the first attempt after the retry",
        Change("bulk/outcomes.py", "        if number > since[message]:\n", "        if True:\n"),
        red=[f"{STOPPING}test_what_failed_before_and_is_not_ready_now_has_not_failed_again"],
    ),
    mutant(
        "what a success needed more than one attempt for has failed again",
        Change(
            "bulk/outcomes.py",
            "    return state.attempts > item.attempts + 1 or state.status != Status.SUCCESS\n",
            "    return state.status != Status.SUCCESS\n",
        ),
        red=[f"{STOPPING}test_a_success_after_a_second_attempt_has_failed_again_at_the_first"],
    ),
    mutant(
        "what only found the world down has no outcome",
        Change("bulk/outcomes.py", "(AttemptOutcome.UNAVAILABLE, AttemptOutcome.LOST,", "(AttemptOutcome.LOST,"),
        red=[f"{STOPPING}test_an_outcome_is_how_the_first_attempt_ended_that_says_something[unavailable-counted3]"],
    ),
    mutant(
        "a second person approves a discard",
        Change("bulk/operations.py", "operation.verb == BulkVerb.DISCARD or 0 <", "0 <"),
        red=[f"{APPROVAL}test_a_discard_waits_for_a_second_person"],
    ),
    mutant(
        "nobody approves what they have started",
        Change("bulk/operations.py", "    if action.actor_name == operation.started_by:\n", "    if False:\n"),
        red=[f"{APPROVAL}test_a_discard_waits_for_a_second_person"],
    ),
    mutant(
        "a retry leaves out where the other side may have acted",
        Change(
            "bulk/freezing.py",
            "            left_out += _mark(operation, Exists(attempts), Why.MAY_HAVE_ACTED)\n        else:",
            "            pass\n        else:",
        ),
        red=["admin/test_bulk_pages::test_without_the_tick_it_stays_left_out"],
    ),
    mutant(
        "an undo leaves alone what others have touched since",
        Change("bulk/selection.py", ', revision=OuterRef("revision") - 1', ""),
        red=[f"{RUNNING}test_an_undo_leaves_alone_what_somebody_has_closed_anew"],
    ),
    mutant(
        "workers go on with bulk operations when beat is dead",
        Change("tasks.py", '    _take_over("bulk", running.go_on_if_overdue)\n', ""),
        red=[f"{CHORE}test_a_worker_goes_on_when_nobody_else_has_for_five_seconds"],
    ),
]
