"""Rules of what follows an attempt."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "the first loss in a row is free",
        Change(
            "policy.py",
            "return Again(ZERO, free=True, lost=counters.lost + 1)",
            "return Again(ZERO, free=False, lost=counters.lost + 1)",
        ),
        red=["maintenance/test_recovery::test_the_first_loss_is_free_and_the_row_is_due_at_once"],
    ),
    mutant(
        "later losses count",
        Change("policy.py", "            FREE_WITH_DATABASE if with_database else 1\n", "            99\n"),
        red=["maintenance/test_recovery::test_losses_in_a_row_count_from_the_second_and_are_exhausted_at_the_limit"],
    ),
    mutant(
        "a row given back has spent no attempt",
        Change(
            "policy.py", "Again(after, free=True, lost=counters.lost)", "Again(after, free=False, lost=counters.lost)"
        ),
        red=["delivery/test_chunks::test_when_the_time_is_up_the_rest_goes_back_without_having_spent_an_attempt"],
    ),
    mutant(
        "Snooze spends no attempt",
        Change("policy.py", "return Again(after, free=True)", "return Again(after, free=False)"),
        red=["delivery/test_delivery::test_snooze_waits_as_long_as_it_says_and_spends_no_attempt"],
    ),
    mutant(
        "Unavailable spends no attempt",
        Change("policy.py", "max(after, LONGEST_PROBE)), free=True)", "max(after, LONGEST_PROBE)), free=False)"),
        red=["delivery/test_delivery::test_unavailable_spends_no_attempt"],
    ),
    mutant(
        "a Backoff of other things than spans and numbers is refused where it is written",
        Change("policy.py", "if not isinstance(value, kind) or isinstance(value, bool):", "if value is kind:"),
        red=["test_policy::test_a_backoff_that_makes_no_sense_is_refused_at_start_up"],
    ),
]
