"""Rules of the rescan and of recovery."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "a queue that workers empty is filled again in the same pass",
        Change("maintenance/rescan.py", "< STAYS_FULL:", "< 0:"),
        red=[
            "maintenance/test_queue_room::test_a_queue_that_workers_empty_is_filled_again_in_the_same_pass_when_half_of_it_is_free"
        ],
    ),
    mutant(
        "a queue that stays full is left to the next pass",
        Change("maintenance/rescan.py", "now - had_room.setdefault(consumer.name, now) < STAYS_FULL", "True"),
        red=[
            "maintenance/test_queue_room::test_a_queue_that_stays_full_is_left_to_the_next_pass_long_before_this_one_is_over"
        ],
    ),
    mutant(
        "a lost row travels alone",
        Change(
            "maintenance/rescan.py",
            "by_losses[row.lost].append(row.id)",
            "by_losses[0].append(row.id)",
        ),
        red=["maintenance/test_rescan::test_lost_rows_travel_alone"],
    ),
    mutant(
        "recovery leaves to the next pass what its time does not allow",
        Change(
            "maintenance/recovery.py",
            "until = monotonic() + conf().rescan_budget.total_seconds()",
            'until = float("inf")',
        ),
        red=[
            "maintenance/test_recovery::test_when_its_time_is_up_the_rest_fails_in_the_next_passes_and_each_pass_has_succeeded",
            "maintenance/test_recovery::test_when_its_time_is_up_the_other_lost_rows_are_brought_back_in_the_next_pass",
        ],
    ),
    mutant(
        "a send counts only into an empty queue",
        Change("maintenance/rescan.py", 'sends=F("sends") + (1 if counted else 0))', 'sends=F("sends") + 1)'),
        red=["maintenance/test_send_limit::test_a_send_counts_only_into_an_empty_queue"],
    ),
    mutant(
        "a send that was not confirmed is taken back",
        Change("maintenance/rescan.py", 'sends=Greatest(F("sends") - (1 if counted else 0), 0)', 'sends=F("sends")'),
        red=["maintenance/test_send_limit::test_a_counted_send_is_taken_back_when_the_broker_did_not_take_the_hint"],
    ),
    mutant(
        "the send limit fails nothing while hints wait",
        Change(
            "maintenance/rescan.py",
            "if counted and row.sends >= conf().send_limit",
            "if row.sends >= conf().send_limit",
        ),
        red=["maintenance/test_send_limit::test_the_send_limit_fails_nothing_while_hints_wait_in_the_queue"],
    ),
    mutant(
        "due_at is pushed before sending",
        Change(
            "maintenance/rescan.py",
            "claimed.update(due_at=Now() + conf().resend_after, sends=",
            "claimed.update(sends=",
        ),
        red=[
            "maintenance/test_rescan::test_due_times_are_pushed_and_committed_before_anything_is_sent",
            "maintenance/test_overlapping_rescans::test_four_overlapping_rescans_send_every_row_once",
        ],
    ),
    mutant(
        "recovery skips what a live handler has locked",
        Change(
            "maintenance/recovery.py",
            "over.select_for_update(skip_locked=True, no_key=True)",
            "over.select_for_update(no_key=True)",
        ),
        red=["delivery/test_overtaken::test_the_row_that_a_live_handler_has_locked_is_not_taken_back"],
    ),
    mutant(
        "lost leases are recovered despite a pause",
        Change(
            "maintenance/rescan.py",
            "recover_all(names)",
            "recover_all([name for name in names if name not in "
            '{*ConsumerState.objects.paused().values_list("consumer", flat=True)}])',
        ),
        red=["maintenance/test_recovery::test_lost_leases_are_recovered_although_the_consumer_is_paused"],
    ),
    mutant(
        "lost leases are recovered despite an open breaker",
        Change(
            "maintenance/rescan.py",
            "recover_all(names)",
            "recover_all([name for name in names if name not in "
            '{*ConsumerState.objects.open().values_list("consumer", flat=True)}])',
        ),
        red=["maintenance/test_recovery::test_lost_leases_are_recovered_although_the_breaker_is_open"],
    ),
    mutant(
        "lost leases are recovered despite high water and without a broker",
        Change(
            "maintenance/rescan.py",
            "recover_all(names)",
            "recover_all([name for name in names if thread_connection().depth(name) < 50])",
        ),
        red=[
            "maintenance/test_recovery::test_lost_leases_are_recovered_although_the_queue_is_full",
            "maintenance/test_recovery::test_lost_leases_are_recovered_although_the_broker_is_away",
        ],
    ),
    mutant(
        "one of many workers covers for beat",
        Change("maintenance/rescan.py", ", turn=TAKEOVER)", ")"),
        red=["maintenance/test_overlapping_rescans::test_of_many_workers_that_find_the_rescan_overdue_one_does_it"],
    ),
    mutant(
        "a consumer with nothing due costs a pass nothing",
        Change(
            "maintenance/rescan.py", "due = set(due_consumers()) | broken if flowing else set()", "due = set(names)"
        ),
        red=[
            "maintenance/test_many_consumers::test_consumers_with_nothing_due_cost_a_pass_nothing",
            "maintenance/test_many_consumers::test_a_consumer_whose_due_rows_are_all_under_way_is_not_asked_for",
        ],
    ),
    mutant(
        "a pass says how the broker is although nothing is due",
        Change("maintenance/rescan.py", "        _see_the_broker(result)\n", "        pass\n"),
        red=["maintenance/test_many_consumers::test_a_pass_says_that_the_broker_is_away_although_nothing_is_due"],
    ),
    mutant(
        "one search serves all consumers",
        Change(
            "maintenance/recovery.py",
            "    found = search(names)\n",
            "    found = {turn: ids for name in names for turn, ids in search([name]).items()}\n",
        ),
        red=[
            "maintenance/test_recovery::test_one_search_serves_all_consumers",
            "maintenance/test_many_consumers::test_consumers_with_nothing_due_cost_a_pass_nothing",
        ],
    ),
    mutant(
        "a long search rests ten seconds at most",
        Change("maintenance/recovery.py", "LONGEST_REST = 10.0", "LONGEST_REST = 3600.0"),
        red=[
            "maintenance/test_recovery::test_a_long_search_is_repeated_after_twenty_times_what_it_took_and_after_ten_seconds_at_the_latest"
        ],
    ),
    mutant(
        "what fails for one consumer leaves the others served",
        Change(
            "maintenance/alone.py",
            "        failing[name] = in_a_line(error)\n",
            "        failing[name] = in_a_line(error)\n        raise\n",
        ),
        red=[
            "maintenance/test_failing_alone::test_a_consumer_whose_lost_rows_cannot_be_brought_back_keeps_none_from_it",
            "maintenance/test_failing_alone::test_a_consumer_whose_rows_cannot_be_claimed_keeps_no_other_from_sending",
            "maintenance/test_failing_alone::test_a_search_that_fails_for_all_keeps_nothing_from_being_sent",
        ],
    ),
    mutant(
        "a bad row keeps no other of its consumer from coming back",
        Change(
            "maintenance/recovery.py",
            "            left.extend(batch._replace(ids=[id]) for id in batch.ids)\n",
            "            failing |= wrong\n",
        ),
        red=[
            "maintenance/test_failing_alone::test_a_bad_row_keeps_neither_another_consumer_nor_the_other_rows_of_its_own_from_coming_back"
        ],
    ),
    mutant(
        "a broken connection is everybody's trouble",
        Change("maintenance/alone.py", "errors_occurred and not connection.is_usable():", "errors_occurred and False:"),
        red=["maintenance/test_failing_alone::test_a_database_connection_that_broke_is_everybody_s_trouble"],
    ),
]
