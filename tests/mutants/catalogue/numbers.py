"""Rules of the desk's numbers: what is counted to the end, what is at stake, what is found, and what is new."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "what is done to all that match is done to what the queue shows",
        Change(
            "admin/bulk/admin.py",
            """request.POST.get("consumer", ""), **narrowing)""",
            """request.POST.get("consumer", ""))""",
        ),
        red=["admin/messages/test_finding::test_all_that_match_are_just_those_that_the_queue_shows"],
    ),
    mutant(
        "what failed, waits or runs is counted to the end",
        Change("admin/messages/tab_counts.py", "cap=CAP, others=", "cap=ROWS_COUNTED, others="),
        red=[
            "admin/messages/test_tab_counts::test_what_fails_waits_or_runs_is_counted_to_the_end_and_what_is_over_is_not"
        ],
    ),
    mutant(
        "all of a consumer is no less than what is known of it",
        Change("admin/messages/tab_counts.py", "counted=max(count.counted, known)", "counted=count.counted"),
        red=["admin/messages/test_tab_counts::test_all_of_a_consumer_is_never_less_than_what_is_known_of_it"],
    ),
    mutant(
        "a consumer that puts nothing at stake adds nothing",
        Change("worth.py", "return published if consumer.value else UNKNOWN", "return published"),
        red=["test_worth::test_a_consumer_may_know_better_or_put_nothing_at_stake"],
    ),
    mutant(
        "currencies are never added up",
        Change("models/sql/backlog.py", "GROUP BY failure, currency\n", "GROUP BY failure\n"),
        Change(
            "models/sql/backlog.py", "SELECT 'failed', failure, currency,", "SELECT 'failed', failure, MAX(currency),"
        ),
        red=["admin/failures/test_groups::test_what_is_stuck_is_counted_to_the_end_with_its_beginning_and_its_worth"],
    ),
    mutant(
        "a story that has stopped is not told as growing",
        Change("admin/operations/story.py", "if not top.fresh:", "if top.fresh is None:"),
        red=["admin/operations/test_story::test_it_says_since_when_and_whether_it_grows_or_has_stopped"],
    ),
    mutant(
        "a finder speaks of its own topics alone",
        Change("admin/finders.py", "return bool(patterns) and not any(", "return False and not any("),
        red=["admin/messages/test_finding::test_a_finder_s_key_means_its_own_topics_alone"],
    ),
    mutant(
        "what a page shows is not new",
        Change("admin/messages/tab_counts.py", "exhausted_at__gt=since", "exhausted_at__gte=since"),
        red=[
            "admin/messages/test_finding::test_what_was_given_up_since_the_page_was_opened_is_counted_and_nothing_else"
        ],
    ),
    mutant(
        "a span keeps what is older out",
        Change("admin/messages/tabs.py", " & lately", ""),
        red=["admin/messages/test_finding::test_a_span_keeps_what_failed_within_it_and_counts_that"],
    ),
]
