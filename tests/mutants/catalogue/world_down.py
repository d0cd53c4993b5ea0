"""Rules for a database that goes away, or takes no writes, in the middle."""

from tests.mutants.mutant import Change, mutant

HERE, LOOKS, OUTSIDE = "delivery/test_world_down", "delivery/test_no_world_down", "delivery/test_conflicts_outside"
JUDGE = "delivery/database_errors.py"
OVER_AND_OVER = f"{OUTSIDE}::test_outside_a_session_that_is_ended_over_and_over_spends_tries_in_the_end"
RESTARTED = "test_losses_in_which_the_server_was_started_again_spend_no_try_and_are_told_so"
OTHER_CODES = "test_other_codes_are_no_sign_of_a_database_that_is_away_even_if_we_meet_them"

MUTANTS = [
    mutant(
        "what was started is given back when the database is away",
        Change("delivery/atomic.py", "        if fault is Fault.DATABASE:\n", "        if False:\n"),
        red=[f"{HERE}::test_what_our_own_write_meets_as_well_spends_nothing[25006]"],
    ),
    mutant(
        "a handler's own error is no sign that the database is away",
        Change(JUDGE, "    if lives and _fresh_one_takes_writes(error):\n", "    if False:\n"),
        red=[
            f"{LOOKS}::test_what_a_handler_alone_meets_is_a_failed_attempt[53100-True]",
            f"{LOOKS}::test_a_read_only_block_of_the_handlers_own_is_a_failed_attempt[True]",
        ],
    ),
    mutant(
        "an error that was made up has met no database",
        Change(JUDGE, " or _alias_of(error) != conf().database:", ":"),
        red=[f"{LOOKS}::test_a_made_up_error_is_a_failed_attempt"],
    ),
    mutant(
        "a timeout is no sign that the database is away",
        Change(JUDGE, '"57P04", "57P05"', '"57P04", "57P05", "57014"'),
        red=[f"{LOOKS}::{OTHER_CODES}[57014]"],
    ),
    mutant(
        "a session that cannot write is closed",
        Change(JUDGE, "    sessions.drop(connection)\n    if not lives", "    if not lives"),
        red=[f"{HERE}::test_a_session_that_is_read_only_where_a_new_one_is_not_is_closed"],
    ),
    mutant(
        "another alias that broke is healed before the next row",
        Change(
            "delivery/atomic.py",
            "        if failed:\n            sessions.restore_after_errors()\n",
            "",
        ),
        red=[f"{LOOKS}::test_another_alias_that_breaks_in_a_row_fails_no_row_after_it[plain-False]"],
    ),
    mutant(
        "a session that ends during a call outside spends no try",
        Change("delivery/non_atomic.py", "if fault is Fault.HANDLER and not met_others:", "if not met_others:"),
        red=[OVER_AND_OVER],
    ),
    mutant(
        "what spends no try ends nevertheless",
        Change("delivery/non_atomic.py", ">= FREE_IN_A_ROW:", ">= 99:"),
        red=[OVER_AND_OVER],
    ),
    mutant(
        "a conflict in the settling block spends no try",
        Change("delivery/non_atomic.py", "error is settlement.failed and is_conflict(error)", "False"),
        red=[f"{OUTSIDE}::test_a_conflict_in_the_settling_block_spends_nothing_and_the_key_stays"],
    ),
    mutant(
        "a conflict outside the settling block is the handler's",
        Change("delivery/non_atomic.py", "error is settlement.failed and ", ""),
        red=[f"{OUTSIDE}::test_a_conflict_outside_the_settling_block_is_a_failed_attempt"],
    ),
    mutant(
        "losses with a server that was started again are free",
        Change("maintenance/recovery.py", "            with_database=message.pk in restarted,\n", ""),
        red=[f"maintenance/test_recovery::{RESTARTED}"],
    ),
]
