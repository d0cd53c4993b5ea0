"""Rules of who is next: the order per key, where searches begin, and what of a sorted chunk has its turn."""

from tests.mutants.mutant import Change, mutant

SLEEPING = "delivery/test_sleeping_behind_a_head::test_"
LOW_WATER = "delivery/test_low_water::test_"
SORTED = "delivery/test_sorted_chunks::test_"
RUNS = "delivery/test_runs::test_"
TOGETHER = "delivery/test_runs_together::test_"
APART = "delivery/test_runs_apart::test_"
RACES = "test_publishing_races::test_"

MUTANTS = [
    mutant(
        "what is published behind another of its key sleeps",
        Change("publishing.py", "asleep=message.order in taken", "asleep=False"),
        red=[
            f"{SLEEPING}what_is_published_behind_an_unsettled_message_of_its_key_sleeps",
            "delivery/test_order_costs::test_a_message_costs_the_same_however_many_wait_behind_the_head_of_its_key",
        ],
    ),
    mutant(
        "where nothing stood behind a head it is not looked for with each hint",
        Change("delivery/starting.py", " or monotonic() < depth.nothing_until", ""),
        red=[
            f"{RUNS}where_nothing_stood_behind_a_named_head_it_is_looked_for_again_a_moment_later",
            f"{RUNS}where_nothing_stands_behind_heads_that_were_found_it_is_not_looked_for_with_each_of_them",
        ],
    ),
    mutant(
        "what stands behind is looked for again after a moment",
        Change("delivery/starting.py", " or monotonic() < depth.nothing_until", " or depth.nothing_until"),
        red=[f"{RUNS}where_nothing_stood_behind_a_named_head_it_is_looked_for_again_a_moment_later"],
    ),
    mutant(
        "of what a hint names nothing is left for later",
        Change(
            "delivery/starting.py",
            "named.run(ids=ids, limit=consumer.chunk,",
            "named.run(ids=ids, limit=_depths.value[consumer.name].heads(consumer.chunk),",
        ),
        red=[f"{RUNS}all_heads_that_a_hint_names_are_started_however_much_waits_behind_them"],
    ),
    mutant(
        "a full chunk of long runs has so few keys that it goes on with them",
        Change("delivery/starting.py", "(room // LONG_RUN or room)", "-(-room // LONG_RUN)"),
        red=[f"{RUNS}a_chunk_of_long_runs_goes_on_with_their_keys"],
    ),
    mutant(
        "the success of a head wakes the next",
        Change(
            "delivery/follow_up.py",
            "for key in settled]) if settled else []",
            "for key in settled]) and [] if 0 else []",
        ),
        red=[
            f"{SLEEPING}whatever_settles_the_head_wakes_the_next_and_no_other",
            "delivery/test_ordering_keys::test_what_a_head_has_woken_is_found_by_the_hint_that_goes_on",
        ],
    ),
    mutant(
        "a head that nobody woke is found by the rescan",
        Change("maintenance/rescan.py", "        wake_forgotten_heads()\n", "        pass\n"),
        red=[f"{SLEEPING}a_head_whose_worker_died_before_it_could_wake_it_is_found_by_the_rescan"],
    ),
    mutant(
        "the search for forgotten heads begins again at the end",
        Change("maintenance/order.py", "if len(heads) == KEYS_PER_PASS else BEGINNING", "if heads else place.key"),
        red=[f"{SLEEPING}a_head_that_is_forgotten_after_the_walk_has_passed_it_is_found_by_the_next"],
    ),
    mutant(
        "who puts a message to sleep looks again for its head",
        Change("maintenance/rescan.py", "    if behind:\n", "    if behind and not behind:\n"),
        red=[f"{SLEEPING}a_head_settled_while_the_rescan_puts_the_next_to_sleep_wakes_it_all_the_same"],
    ),
    mutant(
        "nothing of a key starts while one of it runs",
        Change("delivery/starting.py", ".at_head().with_key_free()", ".at_head()"),
        Change("models/sql/statements.py", "holds_key = message.ordering_key <> ''", "holds_key = false"),
        red=[f"{SLEEPING}a_retried_message_does_not_start_while_a_later_one_of_its_key_runs"],
    ),
    mutant(
        "of two starts of a key at one moment the database lets one through",
        Change("models/sql/statements.py", "holds_key = message.ordering_key <> ''", "holds_key = false"),
        red=[f"{SLEEPING}of_two_workers_that_start_two_of_one_key_at_one_moment_only_one_does_and_starts_the_others"],
    ),
    mutant(
        "a start that is refused for one key starts the others",
        Change("models/sql/statements.py", "KEY_TRIES = 3", "KEY_TRIES = 1"),
        red=[f"{SLEEPING}of_two_workers_that_start_two_of_one_key_at_one_moment_only_one_does_and_starts_the_others"],
    ),
    mutant(
        "a search for due rows begins where the last one found the oldest",
        Change("delivery/starting.py", ", since=search.since)", ", since=None)"),
        red=[f"{LOW_WATER}beside_a_held_snapshot_a_search_does_not_read_again_what_was_settled"],
    ),
    mutant(
        "everything is searched again from time to time",
        Change("models/sql/low_water.py", "if mark is not None and now < mark.everything_at:", "if mark is not None:"),
        red=[
            f"{LOW_WATER}what_is_due_before_the_oldest_that_was_found_is_started_by_the_next_search_of_everything",
            f"{LOW_WATER}a_message_of_a_transaction_that_commits_late_is_started_within_a_second",
        ],
    ),
    mutant(
        "what a search leaves waiting is not behind the mark",
        Change("models/sql/low_water.py", "mark.due_at = min(due_times)", "mark.due_at = max(due_times)"),
        red=[f"{LOW_WATER}the_mark_goes_up_with_full_chunks_and_stays_where_less_was_found"],
    ),
    mutant(
        "of a sorted chunk the oldest that fit are sorted",
        Change("delivery/atomic.py", "oldest_first[:room], key=consumer.sort", "oldest_first, key=consumer.sort"),
        Change("delivery/atomic.py", ", *oldest_first[room:]]", "]"),
        red=[
            f"{SORTED}the_last_on_the_shelf_has_its_turn_though_others_go_on_coming_before_it",
            f"{SORTED}a_chunk_calls_the_oldest_that_fit_in_the_order_of_the_shelf_and_gives_back_the_rest",
        ],
    ),
    mutant(
        "what was given back keeps its place",
        Change(
            "models/queryset.py",
            'default=Least(F("due_at"), then, F("expires_at"))',
            'default=Least(then, F("expires_at"))',
        ),
        red=[f"{SORTED}what_was_given_back_keeps_its_place_before_all_that_is_younger"],
    ),
    mutant(
        "the desk names what a sleeping message waits for",
        Change("admin/messages/detail.py", "if place and place.head else None", "if False else None"),
        red=["admin/messages/test_diagnosis::test_a_message_that_sleeps_behind_another_of_its_key_says_which"],
    ),
    mutant(
        "a run has no gap",
        Change("models/sql/runs.py", "WHERE fit_so_far = place", "WHERE fit_so_far > 0"),
        red=[
            f"{RUNS}a_run_ends_before_what_may_not_be_started",
            f"{RUNS}a_run_ends_before_what_somebody_else_has_locked",
        ],
    ),
    mutant(
        "only what is behind heads of ours is started",
        Change(
            "models/sql/runs.py",
            '.still_ours().filter(holds_key=True, last_error="")',
            '.filter(last_error="", attempts__gt=-1)',
        ),
        red=[f"{RUNS}nothing_is_started_behind_a_head_that_is_no_longer_ours"],
    ),
    mutant(
        "a head that has failed before goes alone",
        Change("models/sql/runs.py", '.filter(holds_key=True, last_error="")', ".filter(holds_key=True)"),
        red=[f"{RUNS}a_head_that_may_not_succeed_goes_alone"],
    ),
    mutant(
        "nothing is started behind what a worker was lost over",
        Change("delivery/starting.py", "if head.ordering_key and not head.lost]", "if head.ordering_key]"),
        red=[f"{RUNS}a_head_that_may_not_succeed_goes_alone"],
    ),
    mutant(
        "no run takes in what a worker was lost over",
        Change(
            "delivery/starting.py",
            "filter(consumer=consumer_name, lost=0).pending()",
            "filter(consumer=consumer_name).pending()",
        ),
        red=[f"{RUNS}a_run_ends_before_what_may_not_be_started"],
    ),
    mutant(
        "a canary goes alone",
        Change(
            "delivery/starting.py",
            "return StartBehind(waiting.admitted(consumer_name, canary=False))",
            "return StartBehind(waiting)",
        ),
        red=[f"{RUNS}nothing_is_started_behind_a_canary_or_of_a_consumer_that_was_paused_meanwhile"],
    ),
    mutant(
        "behind one that did not succeed nothing of its key is called",
        Change("delivery/atomic.py", "            stopped.add(message.ordering_key)", "            pass"),
        red=[
            f"{TOGETHER}where_one_does_not_succeed_the_rest_of_its_key_is_given_back_and_sleeps",
            f"{TOGETHER}a_bulk_call_has_the_run_in_order_and_a_failed_one_is_made_again_in_lists_of_one",
        ],
    ),
    mutant(
        "what is given back behind another of its key sleeps again",
        Change("models/queryset.py", 'Q(holds_key=False), then=F("expires_at")', "Q(holds_key=False), then=Now()"),
        red=[
            f"{TOGETHER}where_one_does_not_succeed_the_rest_of_its_key_is_given_back_and_sleeps",
            f"{APART}where_one_does_not_succeed_the_rest_goes_back_in_the_same_transaction",
        ],
    ),
    mutant(
        "sort leaves the messages of a key in their order",
        Change("delivery/atomic.py", "return runs.in_order([*sorted", "return list([*sorted"),
        red=[f"{TOGETHER}those_of_a_key_keep_their_order_whatever_sort_says"],
    ),
    mutant(
        "of a sorted chunk a run is as old as its head",
        Change(
            "delivery/runs.py", "[heads.get(message.ordering_key, message) for message in messages]", "list(messages)"
        ),
        red=[f"{TOGETHER}of_a_sorted_chunk_a_run_is_as_old_as_its_head"],
    ),
    mutant(
        "a chunk that was full of a run goes on with its key",
        Change("delivery/atomic.py", "if monotonic() < go_on_until and (keys :=", "if not go_on_until and (keys :="),
        red=[f"{TOGETHER}what_comes_next_is_started_when_the_chunk_is_settled_and_wakes_nobody"],
    ),
    mutant(
        "who goes on with a key holds it",
        Change("models/sql/runs.py", "    first_holds_key = True", "    first_holds_key = False"),
        red=[
            f"{TOGETHER}the_first_of_it_holds_the_key_and_is_due_for_the_rescan",
            f"{TOGETHER}it_begins_with_an_earlier_one_that_a_person_has_put_back_meanwhile",
        ],
    ),
    mutant(
        "a hint goes on with a key no longer than its time",
        Change("delivery/chunks.py", "go_on_until=began + time.total_seconds())", "go_on_until=began + 60)"),
        red=[f"{TOGETHER}it_is_not_started_when_the_time_of_the_hint_is_up"],
    ),
    mutant(
        "what must go alone is not gone on with",
        Change("delivery/starting.py", 'lost=0, last_error="").pending()', "attempts__gte=0).pending()"),
        red=[f"{TOGETHER}what_must_go_alone_or_wait_is_not_started_with_it"],
    ),
    mutant(
        "each of a run hands its key on to the next",
        Change("delivery/runs.py", "        Message.objects.held(firsts.values()).hold_key()\n", "        pass\n"),
        red=[
            f"{APART}each_hands_the_key_on_to_the_next",
            f"{APART}a_run_whose_chunk_met_others_is_redone_in_order",
        ],
    ),
    mutant(
        "a message is called only by who holds its key",
        Change("delivery/runs.py", "(message.holds_key if key not in ends else not ends[key])", "True"),
        red=[
            f"{APART}a_stale_worker_calls_nothing_behind_a_head_that_was_taken_back",
            f"{APART}a_stale_worker_calls_nothing_beyond_one_that_was_taken_back",
        ],
    ),
    mutant(
        "where rows are settled one by one, the rest of a key that stops is given back",
        Change(
            "delivery/runs.py",
            "    given_back = [fence for fence in rest if",
            "    given_back = [fence for fence in rest[:0] if",
        ),
        red=[
            f"{APART}where_one_does_not_succeed_the_rest_goes_back_in_the_same_transaction",
            f"{APART}behind_one_that_ended_the_transaction_nothing_of_its_key_is_called",
        ],
    ),
    mutant(
        "a lost run is taken back as a whole",
        Change(
            "maintenance/recovery.py",
            "        if ordered := [row.pk for row in rows if row.ordering_key]:",
            "        if ordered := [row.pk for row in rows[:0]]:",
        ),
        red=[f"{APART}a_lost_run_comes_back_asleep_behind_its_head_and_no_loss_of_it_counts"],
    ),
    mutant(
        "what was started behind a head that is settled is found when its lease is over",
        Change("models/sql/order.py", " OR COALESCE(lease_until < {{now}}, FALSE)", ""),
        red=[f"{APART}a_head_that_ran_again_and_was_settled_before_its_run_was_taken_back_wakes_it"],
    ),
    mutant(
        "a chunk that was named is the most of a run as well",
        Change("declaring.py", "run=chunk or usual *", "run=usual *"),
        red=[f"{TOGETHER}a_chunk_that_was_named_is_the_most_of_a_run_as_well"],
    ),
    mutant(
        "a run grows no further than its time allows",
        Change(
            "delivery/atomic.py",
            "    return max(consumer.chunk, min(consumer.run, in_time))",
            "    return consumer.run",
        ),
        red=[f"{TOGETHER}a_run_grows_no_further_than_half_its_time_allows_at_the_last_pace"],
    ),
    mutant(
        "a deadlock over ordering keys says what it is",
        Change("publishing.py", "            error.add_note(OPPOSITE_ORDERS)\n", "            pass\n"),
        red=[f"{RACES}transactions_that_publish_for_several_keys_by_several_calls_are_told_of_their_deadlock"],
    ),
]
