"""Rules of rehearsals: nothing stays, and nothing is called a success that would fail."""

from tests.mutants.mutant import Change, mutant

EACH = "test_each_message_is_called_by_today_s_code_and_nothing_of_it_stays"
REFUSED = "test_what_no_rollback_undoes_is_refused_and_said"
SESSION = "test_a_session_ends_with_its_chunk_and_other_databases_refuse_what_is_written"

SETS = "rehearsal/test_background::"

MUTANTS = [
    mutant(
        "who was overtaken in a rehearsal notes nothing",
        Change("rehearsal/background.py", "pk=rehearsal.pk, holder=rehearsal.holder, state", "pk=rehearsal.pk, state"),
        red=[f"{SETS}test_who_was_overtaken_notes_nothing_any_more"],
    ),
    mutant(
        "a rehearsal that is taken over goes on where it was",
        Change("rehearsal/background.py", '("results", "codes", "position", "done"', '("results", "codes", "done"'),
        red=[f"{SETS}test_who_was_killed_is_followed_by_another_who_goes_on_where_it_was_each_message_counted_once"],
    ),
    mutant(
        "a rehearsal that somebody is at is left alone",
        Change("rehearsal/background.py", ".filter(is_left, pk=oldest)", ".filter(pk=oldest)"),
        red=[f"{SETS}test_a_set_is_rehearsed_once_at_a_time_and_sets_one_after_the_other"],
    ),
    mutant(
        "a rehearsal ends when its operation is started",
        Change("rehearsal/background.py", "state__in=[*ACTIVE, *ENDED]).exists()", "state__in=[]).exists()"),
        red=[f"{SETS}test_it_ends_when_the_operation_is_started"],
    ),
    mutant(
        "what the database refuses of a rehearsal is not taken for a database that is away",
        Change("rehearsal/background.py", "if database_errors.may_pass(error):", "if isinstance(error, Error):"),
        red=[f"{SETS}test_what_the_database_refuses_of_it_ends_it_and_says_why"],
    ),
    mutant(
        "a preview stays while it is rehearsed",
        Change("bulk/pruning.py", "Q(~Exists(rehearsed), state=", "Q(state="),
        red=[f"{SETS}test_a_preview_stays_while_it_is_rehearsed_however_old_it_is"],
    ),
    mutant(
        "rehearsing takes the permission to retry",
        Change(
            "rehearsal/whole_sets.py",
            "    action.check()\n    operation = BulkOperation",
            "    operation = BulkOperation",
        ),
        red=["admin/test_rehearsing::test_who_may_only_look_at_operations_may_not_rehearse_them"],
    ),
    mutant(
        "what would fail at COMMIT only is found by a rehearsal",
        Change(
            "rehearsal/play.py",
            "        self._cursor.execute(LOOK)\n        raise _WentWell",
            "        raise _WentWell",
        ),
        red=[f"rehearsal/test_run::{EACH}"],
    ),
    mutant(
        "a refusal that a handler swallows is no success",
        Change(
            "rehearsal/play.py",
            "    if refused:\n        what",
            "    if isinstance(report.exception, NotRehearsable):\n        what",
        ),
        red=[f"rehearsal/test_run::{REFUSED}"],
    ),
    mutant(
        "other databases refuse what a rehearsal writes",
        Change("rehearsal/stage.py", "            cursor.execute(statement)", "            cursor.execute('SELECT 1')"),
        red=[f"rehearsal/test_run::{SESSION}"],
    ),
    mutant(
        "a rehearsed transaction is rolled back",
        Change(
            "rehearsal/play.py",
            "            transaction.set_rollback(True, using=conf().database)\n    finally",
            "    finally",
        ),
        red=["rehearsal/test_run::test_one_chunk_together_shows_what_the_messages_take_from_each_other"],
    ),
    mutant(
        "what ends the process of a rehearsal costs its own message alone",
        Change("rehearsal/run.py", "            left.pop(at)\n", "            left.clear()\n"),
        red=["rehearsal/test_run::test_a_handler_that_harms_its_process_has_failed_and_the_others_are_rehearsed"],
    ),
]
