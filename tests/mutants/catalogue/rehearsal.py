"""Rules of rehearsals: nothing stays, and nothing is called a success that would fail."""

from tests.mutants.mutant import Change, mutant

EACH = "test_each_message_is_called_by_today_s_code_and_nothing_of_it_stays"
REFUSED = "test_what_no_rollback_undoes_is_refused_and_said"
SESSION = "test_a_session_ends_with_its_chunk_and_other_databases_refuse_what_is_written"

MUTANTS = [
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
