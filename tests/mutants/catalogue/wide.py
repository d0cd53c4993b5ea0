"""Calls beside each other: places, leases, rates, suspects."""

from tests.mutants.mutant import Change, mutant

WIDE = "delivery/wide/"
CALLS, PLACES, RATES = f"{WIDE}test_calls::", f"{WIDE}test_places::", f"{WIDE}test_rates::"
SESSIONS, ONCE, LISTS = f"{WIDE}test_sessions::", f"{WIDE}test_at_most_once::", f"{WIDE}test_lists::"
READY = f"{WIDE}test_ready::"

MUTANTS = [
    mutant(
        "calls that fail together are settled together",
        Change("delivery/wide/settlements.py", "    if len(reports) > 1:\n", "    if len(reports) > 1_000:\n"),
        red=["delivery/wide/test_settlements::test_many_failures_take_one_transaction"],
    ),
    mutant(
        "what was perhaps committed is not too late the second time",
        Change("delivery/wide/settlements.py", "            again = True\n", "            again = False\n"),
        red=["delivery/wide/test_settlements::test_where_only_the_answer_to_the_commit_was_lost_nothing_is_too_late"],
    ),
    mutant(
        "a free place is filled while other calls go on",
        Change(
            "delivery/wide/pool.py",
            "if lane.wants_to_look() and",
            "if not self.under_way() and lane.wants_to_look() and",
        ),
        red=[f"{CALLS}test_a_place_that_is_free_is_filled_while_another_call_goes_on"],
    ),
    mutant(
        "no row is started before its call has a place",
        Change("delivery/wide/pool.py", "min(lane.room, conf().places - taken)", "conf().places - taken"),
        red=[f"{CALLS}test_no_row_is_started_before_its_call_has_a_place"],
    ),
    mutant(
        "what is ready and gets no place is left to others",
        Change("delivery/wide/lanes.py", "if all_of_them or call.at < before", "if all_of_them"),
        red=[f"{READY}test_what_is_ready_and_gets_no_place_is_given_back_and_spends_nothing"],
    ),
    mutant(
        "what is ready is given back by a process that ends",
        Change(
            "delivery/wide/pool.py",
            "            self._let_hints_go()\n            self._give_back_ready(all_of_them=True)\n",
            "            self._let_hints_go()\n",
        ),
        red=[f"{READY}test_a_process_that_ends_gives_back_what_is_ready"],
    ),
    mutant(
        "a full process hints several times a second, so that another takes its part",
        Change("delivery/wide/places.py", "HINT_EVERY = 0.2", "HINT_EVERY = 1.0"),
        red=[
            f"{READY}test_a_process_whose_places_are_taken_hints_several_times_a_second_so_that_another_takes_its_part"
        ],
    ),
    mutant(
        "a full process names what it has no place for",
        Change("delivery/wide/places.py", "tuple(islice(lane.named, lane.consumer.concurrency))", "()"),
        red=[
            f"{READY}test_a_process_whose_places_are_taken_hints_several_times_a_second_so_that_another_takes_its_part"
        ],
    ),
    mutant(
        "a hint that finds no place is passed on",
        Change("delivery/wide/hints.py", "    if pool.passes_on(consumer, ticket):\n", "    if False:\n"),
        red=[f"{READY}test_a_hint_that_finds_no_place_is_passed_on_and_keeps_its_process_until_it_has_come_to_another"],
    ),
    mutant(
        "a hint that is passed on goes in no circles",
        Change("delivery/wide/pool.py", "            lane.passed_on_at = monotonic()\n", ""),
        red=[f"{READY}test_a_hint_that_finds_no_place_is_passed_on_and_keeps_its_process_until_it_has_come_to_another"],
    ),
    mutant(
        "beside calls under way it is looked again",
        Change("delivery/wide/lanes.py", "return bool(self.room and self.calls and now", "return bool(False and now"),
        red=[f"{READY}test_beside_calls_under_way_it_is_looked_again_for_what_others_have_given_back_or_were_sent"],
    ),
    mutant(
        "what the rescan has sent a hint for is found by who looks",
        Change("delivery/wide/starts.py", "within = max(conf().grace, conf().resend_after)", "within = conf().grace"),
        red=[f"{READY}test_beside_calls_under_way_it_is_looked_again_for_what_others_have_given_back_or_were_sent"],
    ),
    mutant(
        "of slow calls none is kept ready",
        Change("delivery/wide/lanes.py", "keeps_none = are_slow or", "keeps_none ="),
        red=[f"{READY}test_of_slow_calls_that_end_together_none_is_kept_ready"],
    ),
    mutant(
        "what was given back is for others to start",
        Change("delivery/wide/lanes.py", "        self.has_more = self.has_more or bool(taken)\n", ""),
        red=[f"{READY}test_what_was_given_back_is_for_another_process_to_start"],
    ),
    mutant(
        "what must not be lost is never kept ready",
        Change("delivery/wide/lanes.py", "are_slow or self.consumer.at_most_once or", "are_slow or"),
        red=[f"{READY}test_what_must_not_be_lost_or_has_a_rate_is_never_kept_ready"],
    ),
    mutant(
        "what is ready and was taken from us is not called",
        Change("delivery/wide/lanes.py", "            if call.is_held:\n", "            if True:\n"),
        red=[f"{READY}test_what_is_ready_and_no_longer_ours_is_not_called"],
    ),
    mutant(
        "the lease of a call is renewed while it lives",
        Change("delivery/wide/leases.py", "        if alive:\n", "        if False:\n"),
        red=[f"{PLACES}test_the_lease_of_a_call_is_renewed_as_long_as_it_lives"],
    ),
    mutant(
        "a call that is no longer ours is broken off",
        Change("delivery/wide/leases.py", "                    call.cancel()\n", "                    pass\n"),
        red=[f"{PLACES}test_a_call_that_was_taken_from_us_is_broken_off"],
    ),
    mutant(
        "a message is not called again while its last call still runs",
        Change("delivery/wide/leases.py", "statements.hold_back(stuck, conf().lease)", "pass"),
        red=[f"{PLACES}test_a_message_is_not_called_again_while_the_thread_of_its_last_call_runs"],
    ),
    mutant(
        "a process in which half of the calls hang starts no more",
        Change("delivery/wide/pool.py", "if self._is_ending or self.is_spoilt:", "if self._is_ending:"),
        red=[f"{PLACES}test_a_process_in_which_half_of_the_places_hang_starts_no_more_and_is_replaced"],
    ),
    mutant(
        "nothing is sent for which there is no place",
        Change("maintenance/width.py", 'said["places"] - said["taken"]', 'said["places"]'),
        red=[f"{PLACES}test_while_all_places_are_taken_the_rescan_neither_sends_nor_counts"],
    ),
    mutant(
        "nothing is sent that the rate does not allow",
        Change("maintenance/width.py", "allowed = None if consumer.rate is None else", "allowed = None if True else"),
        red=[f"{PLACES}test_what_waits_for_its_rate_is_neither_sent_nor_counted"],
    ),
    mutant(
        "of what workers were lost over, fewer run together with each loss",
        Change("declared.py", "self.concurrency >> lost", "self.concurrency"),
        red=[f"{PLACES}test_suspects_share_hints_that_halve_with_each_loss"],
    ),
    mutant(
        "what workers were lost over runs beside nobody else",
        Change(
            "delivery/wide/pool.py",
            "        if any(not call.given_up for call in self.under_way()):\n            return\n"
            "        if self._alone",
            "        if self._alone",
        ),
        red=[f"{PLACES}test_suspects_run_beside_nobody_else"],
    ),
    mutant(
        "an error is judged by the session that it was met on",
        Change(
            "delivery/database_errors.py",
            "broke = not connections[conf().database].is_usable() if closed is None else",
            "broke = not connections[conf().database].is_usable() if True else",
        ),
        red=[f"{SESSIONS}test_a_session_that_ends_spends_nothing_although_there_is_a_new_one_when_it_is_judged"],
    ),
    mutant(
        "a loss among others is never charged",
        Change("policy.py", "if among > 1 or counters.lost", "if counters.lost"),
        red=[f"{PLACES}test_a_loss_among_others_is_free_however_often"],
    ),
    mutant(
        "what may have happened is not done again",
        Change("policy.py", "case WorkerLost(never_again=True):", "case WorkerLost(never_again=True) if False:"),
        red=[f"{ONCE}test_a_lost_worker_is_the_end_and_it_may_have_happened"],
    ),
    mutant(
        "what was started without a call is given back",
        Change("delivery/strays.py", "if not _expected.value[0]:", "if True:"),
        red=[f"{ONCE}test_what_was_started_without_a_call_because_the_answer_was_lost_is_given_back"],
    ),
    mutant(
        "what a hint has started without knowing is given back",
        Change("delivery/chunks.py", "        starting.give_back_strays()\n", ""),
        red=["delivery/test_strays::test_what_else_is_due_is_started_again_by_the_next_hint"],
    ),
    mutant(
        "rows are locked by id where two threads update the same",
        Change("models/sql/calls.py", " AND id IN (SELECT id FROM locked)", " AND true"),
        red=["models/test_lock_order::test_who_waits_for_a_row_has_locked_none_behind_it"],
    ),
    mutant(
        "calls that were started are taken from the rate",
        Change("models/sql/calls.py", "(SELECT CEIL(COUNT(*)", "(SELECT 0 * CEIL(COUNT(*)"),
        red=[f"{RATES}test_a_burst_is_called_at_once"],
    ),
    mutant(
        "a reservation further ahead than one call is void",
        Change("models/sql/calls.py", "THEN {now}\n", "THEN next_call\n"),
        red=[f"{RATES}test_a_clock_that_was_set_back_holds_up_no_more_than_one_call"],
    ),
    mutant(
        "what is reported of one message of a list touches no other",
        Change(
            "delivery/execution.py", "error = said.error if said.reported else error", "error = error or said.error"
        ),
        red=[f"{LISTS}test_what_was_reported_as_done_stands_when_the_handler_fails_later"],
    ),
    mutant(
        "what an async handler leaves open is its own failure",
        Change(
            "delivery/wide/loop.py",
            "result = function(*args, **kwargs)\n            left = self._close_what_is_left_open()",
            "result, left = function(*args, **kwargs), []",
        ),
        red=[f"{SESSIONS}test_a_transaction_that_an_async_handler_leaves_open_is_its_own_failure"],
    ),
    mutant(
        "threads have no more sessions than were set",
        Change(
            "delivery/wide/thread_sessions.py", "BoundedSemaphore(conf().thread_sessions)", "BoundedSemaphore(1000)"
        ),
        red=[f"{SESSIONS}test_a_handler_that_finds_no_session_in_its_time_fails_with_a_sentence"],
    ),
    mutant(
        "a thread takes over no session that another has changed",
        Change("delivery/wide/thread_sessions.py", "elif held.settings != found:", "elif False:"),
        red=[f"{SESSIONS}test_what_one_handler_sets_on_its_session_reaches_no_other"],
    ),
    mutant(
        "what is overdue is closed quietly only if no call was ever made for it",
        Change(
            "maintenance/recovery.py",
            "rows.filter(~Exists(called), status=Status.PENDING)",
            "rows.filter(status=Status.PENDING)",
        ),
        red=["test_deadlines::test_what_is_overdue_and_was_tried_before_is_work_for_a_person"],
    ),
]
