"""What handlers do that the engine must notice."""

from tests.mutants.mutant import Change, mutant

SUITE = "delivery/test_hostile_handlers::"
ENDS = f"{SUITE}test_who_ends_the_transaction_fails_at_once_and_costs_its_neighbours_nothing"
CHANGES = f"{SUITE}test_who_changes_the_transaction_for_another_fails_at_once"
BESIDE = "test_another_alias_whose_session_was_ended_costs_one_attempt_and_no_later_message"
FAILS = f"{SUITE}test_whatever_a_handler_raises_or_leaves_open_is_a_failed_attempt_of_its_own"

MUTANTS = [
    mutant(
        "nothing is settled in another transaction than the one that has locked",
        Change(
            "models/sql/statements.py",
            "self._sql + same, [*params, transaction] if transaction",
            "self._sql, params if True",
        ),
        red=[f"{CHANGES}[COMMIT AND CHAIN-19]"],
    ),
    mutant(
        "what a handler has committed before its neighbours' success was written is not done again",
        Change("delivery/chunks.py", "*(ended.before if committed else []), *guilty", "*guilty"),
        red=[f"{ENDS}[COMMIT-19]"],
    ),
    mutant(
        "what a handler has rolled back is redone",
        Change("delivery/chunks.py", "committed = statements.was_committed(ended.guilty[0])", "committed = True"),
        red=[f"{ENDS}[ROLLBACK-19]"],
    ),
    mutant(
        "whatever a handler raises is a failed attempt",
        Change(
            "delivery/execution.py",
            """    except BaseException as error:
        if is_conflict(error):
            raise Redo(_error_text(error)) from error
        return classify(message, error)
""",
            """    except Exception as error:
        if is_conflict(error):
            raise Redo(_error_text(error)) from error
        return classify(message, error)
""",
        ),
        red=[f"{FAILS}[CancelledError-9]"],
    ),
    mutant(
        "what a handler does to its message changes nothing for the engine",
        Change("delivery/execution.py", "work = copy_of(message)", "work = message"),
        red=[f"{FAILS}[another attempt-9]"],
    ),
    mutant(
        "what a handler outside leaves open is closed",
        Change("delivery/non_atomic.py", "        _close(connections[alias])\n", "        pass\n"),
        red=[f"{SUITE}test_what_a_handler_outside_leaves_open_is_closed_and_a_failed_attempt"],
    ),
    mutant(
        "a connection that broke is closed on whatever alias",
        Change("tasks.py", "connections.all(initialized_only=True)", '[connections["default"]]'),
        red=[f"delivery/test_broken_connections::{BESIDE}"],
    ),
]
