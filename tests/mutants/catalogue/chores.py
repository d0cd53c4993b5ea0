"""Rules of what is set for the chores, of who covers for them, and of clocks."""

from tests.mutants.mutant import Change, mutant

PLANNED, COVERING, SET_BACK, LOCAL = (
    f"maintenance/test_{name}::"
    for name in ("planned_in_the_admin", "covering", "clock_set_back", "beat_in_local_time")
)

MUTANTS = [
    mutant(
        "nobody covers for what a person has switched off",
        Change("monitoring/planned.py", "if plan.switched_off or (", "if ("),
        red=[f"{PLANNED}test_no_worker_does_what_a_person_has_switched_off"],
    ),
    mutant(
        "a consumer that came back is no reason to rescan what is switched off",
        Change("maintenance/rescan.py", " and not read_plans()[RESCAN_HEARTBEAT].switched_off", ""),
        red=[f"{PLANNED}test_a_consumer_that_came_back_is_not_sent_for_while_the_rescan_is_switched_off"],
    ),
    mutant(
        "workers wait for the interval that is set",
        Change("monitoring/planned.py", "overdue = after + plan.later", "overdue = after"),
        red=[f"{PLANNED}test_a_rescan_every_thirty_seconds_is_overdue_thirty_seconds_later_than_one_every_second"],
    ),
    mutant(
        "health waits for the interval that is set",
        Change("monitoring/chore_findings.py", "limits.rescan_limit + plan.later", "limits.rescan_limit"),
        red=[f"{PLANNED}test_a_rescan_every_thirty_seconds_is_in_order_for_as_much_longer"],
    ),
    mutant(
        "who has switched a chore off is named",
        Change(
            "monitoring/health.py",
            "rescan, plans = heartbeats.get(RESCAN, NEVER), read_plans(with_who=True)",
            "rescan, plans = heartbeats.get(RESCAN, NEVER), read_plans()",
        ),
        red=[f"{PLANNED}test_what_is_switched_off_names_who_has_changed_it_last"],
    ),
    mutant(
        "entries that cannot be read keep nobody from covering",
        Change("monitoring/planned.py", "        found = []\n", "        raise\n"),
        red=[f"{PLANNED}test_entries_that_cannot_be_read_keep_no_worker_from_covering"],
    ),
    mutant(
        "workers cover for pruning",
        Change("tasks.py", '    _take_over("prune", pruning.prune_if_overdue)\n', ""),
        red=[f"{COVERING}test_every_chore_that_is_overdue_is_done_by_one_look_of_a_worker"],
    ),
    mutant(
        "workers cover for the roll-up",
        Change("tasks.py", '    _take_over("rollup", rollup.roll_up_if_overdue)\n', ""),
        red=[f"{COVERING}test_every_chore_that_is_overdue_is_done_by_one_look_of_a_worker"],
    ),
    mutant(
        "a turn in the future is over",
        Change("models/state.py", " | Q(at__gt=Now() + FUTURE)", ""),
        red=[f"{SET_BACK}test_a_chore_is_covered_for_although_its_heartbeat_and_its_last_turn_lie_in_the_future"],
    ),
    mutant(
        "a heartbeat in the future proves nothing",
        Change("monitoring/notes.py", "None if age < -FUTURE else age", "age"),
        red=[f"{SET_BACK}test_a_heartbeat_in_the_future_proves_nothing"],
    ),
    mutant(
        "a heartbeat in the future tells of a clock that was set back",
        Change("maintenance/set_back.py", "if not ahead.exists():", "if ahead is not None:"),
        red=[
            f"{SET_BACK}test_what_was_published_is_sent_and_started_at_once",
            f"{SET_BACK}test_what_was_sent_is_sent_again_at_once",
            f"{SET_BACK}test_a_lost_row_is_brought_back_when_its_lease_is_over_by_the_new_clock",
            f"{SET_BACK}test_a_probe_of_a_broken_consumer_is_made",
        ],
    ),
    mutant(
        "what was to wait waits as long by the new clock",
        Change(
            "maintenance/set_back.py", 'then=_from_now(F("not_before") - began)', 'then=Least(F("not_before"), Now())'
        ),
        Change("maintenance/set_back.py", "    began = Greatest(", "    Greatest("),
        red=[f"{SET_BACK}test_what_was_to_wait_waits_as_long_and_no_longer"],
    ),
    mutant(
        "a delay written before the clock jumped is not cut short",
        Change("maintenance/set_back.py", 'Greatest(F("not_before"), Now()) + put_off', "Now() + put_off"),
        Change("maintenance/set_back.py", '        default=F("not_before"),', "        default=Now(),"),
        red=[f"{SET_BACK}test_a_delay_that_was_written_long_ago_is_not_cut_short"],
    ),
    mutant(
        "beat does not take what migrate has made for called in the future",
        Change("maintenance/schedule.py", '{} if settings.USE_TZ else {"last_run_at": LONG_AGO}', "{}"),
        red=[f"{LOCAL}test_beat_calls_what_migrate_has_just_made"],
    ),
    mutant(
        "a worker wakes a beat that reads local times as UTC",
        Change("tasks.py", "        schedule.wake_beat()\n", "        pass\n"),
        red=[f"{LOCAL}test_an_entry_that_was_switched_on_again_is_called_as_soon_as_a_worker_finds_the_rescan_overdue"],
    ),
]
