"""Rules of who is next: the order per key, where searches begin, and what of a sorted chunk has its turn."""

from tests.mutants.mutant import Change, mutant

SLEEPING = "delivery/test_sleeping_behind_a_head::test_"
LOW_WATER = "delivery/test_low_water::test_"
SORTED = "delivery/test_sorted_chunks::test_"

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
        "the success of a head wakes the next",
        Change("delivery/follow_up.py", "(ids := wake_heads(keys))", "(ids := sorted({0} - {0}))"),
        red=[
            f"{SLEEPING}whatever_settles_the_head_wakes_the_next_and_no_other",
            "delivery/test_ordering_keys::test_a_head_that_succeeded_hints_the_next",
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
            "models/queryset.py", 'else Least(F("due_at"), then, F("expires_at"))', 'else Least(then, F("expires_at"))'
        ),
        red=[f"{SORTED}what_was_given_back_keeps_its_place_before_all_that_is_younger"],
    ),
    mutant(
        "the desk names what a sleeping message waits for",
        Change("admin/messages/detail.py", "        head=_head_before(message),\n", ""),
        red=["admin/messages/test_diagnosis::test_a_message_that_sleeps_behind_another_of_its_key_says_which"],
    ),
]
