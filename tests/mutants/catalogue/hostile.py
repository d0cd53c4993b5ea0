"""What handlers do that the engine must notice."""

from tests.mutants.mutant import Change, mutant

SUITE = "delivery/test_hostile_handlers::"
ENDS = f"{SUITE}test_who_ends_the_transaction_fails_at_once_and_costs_its_neighbours_nothing"
CHANGES = f"{SUITE}test_who_changes_the_transaction_for_another_fails_at_once"
BESIDE = "test_another_alias_whose_session_was_ended_costs_no_message_anything"
SESSIONS = "delivery/test_sessions::"
LEAVES = f"{SESSIONS}test_a_setting_that_a_handler_leaves_behind_reaches_no_other_message"
REDONE = "has_its_chunk_redone_one_by_one"
FAILS = f"{SUITE}test_whatever_a_handler_raises_or_leaves_open_is_a_failed_attempt_of_its_own"

FORK = "delivery/hostile/test_fork::test_a_handler_that_forks_costs_its_neighbours_nothing"
PROCESS = "delivery/hostile/test_process::test_a_handler_that_harms_its_process_costs_its_neighbours_nothing"
CONNECTION = "delivery/hostile/test_connections::test_a_handler_that_breaks_its_connection_costs_its_neighbours_nothing"
EXCEPTION = "delivery/hostile/test_errors::test_a_handler_that_raises_costs_its_neighbours_nothing"
TRANSACTION = (
    "delivery/hostile/test_transactions::test_a_handler_that_ends_its_transaction_costs_its_neighbours_nothing"
)

SHARED = Change("delivery/process_state.py", "    if not _here.in_a_call:\n", "    if True:\n")
"""Without its parent's sessions a forked child can do nothing that other guards must notice."""

REFUSED = "delivery/test_ended_transactions::test_a_commit_is_refused_so_a_kill_behind_it_leaves_no_effect"

MUTANTS = [
    mutant(
        "no COMMIT goes through before the rows are settled",
        Change("delivery/atomic.py", ", guarded=True)", ")"),
        red=[f"{REFUSED}[COMMIT-in turn]"],
    ),
    mutant(
        "a process that a handler has forked never settles",
        Change("delivery/process_state.py", "        if os.getpid() != self.pid:", "        if False:"),
        SHARED,
        red=[f"{FORK}[the child returns from the handler-atomic]", f"{FORK}[the child exits by sys.exit-atomic]"],
    ),
    mutant(
        "a timer that a handler has left is stopped",
        Change("delivery/process_state.py", "signal.setitimer(signal.ITIMER_REAL, 0)", "pass"),
        red=["delivery/hostile/test_signals::test_a_timer_that_is_left_is_stopped_before_the_next_call"],
    ),
    mutant(
        "a process that a handler has forked has none of its parent's sessions",
        SHARED,
        red=[f"{FORK}[the child returns from the handler-bulk]"],
    ),
    mutant(
        "limits that a handler has lowered are put back",
        Change("delivery/process_state.py", "if _limits() == self.limits:", "if True:"),
        red=[f"{PROCESS}[a low limit of open files-atomic]", f"{PROCESS}[a low limit for files-atomic]"],
    ),
    mutant(
        "a limit of recursion that a handler has left is put back",
        Change("delivery/process_state.py", "            sys.setrecursionlimit(self.depth)\n", ""),
        red=[f"{PROCESS}[a low limit of recursion-{way}]" for way in ("atomic", "bulk")],
    ),
    mutant(
        "a wrapper that a handler has left around all statements is taken off",
        Change("delivery/process_state.py", "if self.connection.execute_wrappers != self.wrappers:", "if False:"),
        red=[f"{CONNECTION}[leaves a wrapper that refuses-{way}]" for way in ("atomic", "bulk", "non-atomic")],
    ),
    mutant(
        "a chunk goes on only on the connection that it began on",
        Change("delivery/savepoints.py", "        if self._is_exchanged():\n            return True\n", ""),
        red=[f"{CONNECTION}[drops the driver's-atomic]", f"{CONNECTION}[removes the alias-atomic]"],
    ),
    mutant(
        "only the engine says that a transaction has ended",
        Change(
            "delivery/savepoints.py", "            if isinstance(error, TransactionEnded):\n", "            if False:\n"
        ),
        red=[f"{EXCEPTION}[the engine's TransactionEnded-bulk]"],
    ),
    mutant(
        "what is written after the success was rolled back is rolled back too",
        Change("delivery/non_atomic.py", "            self._refuse_lost_success()\n", ""),
        red=[f"{TRANSACTION}[ROLLBACK, the effect again-non-atomic]"],
    ),
    mutant(
        "a session on which nothing can be settled is left for another",
        Change(
            "delivery/non_atomic.py",
            "        sessions.drop(connections[conf().database])\n        ours = database_errors.once_back",
            "        ours = database_errors.once_back",
        ),
        red=[
            "delivery/hostile/test_sessions::test_a_handler_that_changes_its_session_costs_its_neighbours_nothing"
            "[a table that hides the engine's-non-atomic]"
        ],
    ),
    mutant(
        "only the process that was called opens the settlement",
        Change("delivery/non_atomic.py", "        if os.getpid() != self._pid:", "        if False:"),
        red=[f"{FORK}[the child settles and its parent fails-non-atomic]"],
    ),
    mutant(
        "nothing is settled in another transaction than the one that has locked",
        Change(
            "models/sql/statements.py",
            "ALLOW + sql + SAME_TRANSACTION, [*params, transaction]",
            "ALLOW + sql, params",
        ),
        Change("models/sql/statements.py", "if settings:\n            sql", "if False:\n            sql"),
        red=[f"{CHANGES}[COMMIT AND CHAIN-19]"],
    ),
    mutant(
        "what a handler has committed before its neighbours' success was written is not done again",
        Change("delivery/ended_transactions.py", "for report in [*done, *guilty]:", "for report in guilty:"),
        red=[f"{ENDS}[COMMIT-19]"],
    ),
    mutant(
        "what a handler has rolled back is redone",
        Change(
            "delivery/ended_transactions.py",
            "committed = once_back(lambda: statements.was_committed(ended.guilty[0]), within=AWAY_LIMIT)",
            "committed = True",
        ),
        red=[f"{ENDS}[ROLLBACK-19]"],
    ),
    mutant(
        "whatever a handler raises is a failed attempt",
        Change(
            "delivery/execution.py",
            """    except BaseException as error:
        if _is_anothers(error, consumer, savepoints):
            raise Redo(_error_text(error)) from error
        return classify(message, error)
""",
            """    except Exception as error:
        if _is_anothers(error, consumer, savepoints):
            raise Redo(_error_text(error)) from error
        return classify(message, error)
""",
        ),
        red=[f"{FAILS}[CancelledError-9]"],
    ),
    mutant(
        "what a handler does to its message changes nothing for the engine",
        Change("delivery/execution.py", "else for_handler(message)", "else message"),
        red=[f"{FAILS}[another attempt-9]"],
    ),
    mutant(
        "what a handler outside leaves open is closed",
        Change("delivery/non_atomic.py", "        close(connections[alias])\n", "        pass\n"),
        red=[f"{SUITE}test_what_a_handler_outside_leaves_open_is_closed_and_a_failed_attempt"],
    ),
    mutant(
        "a chunk whose settings a handler has changed is not settled",
        Change(
            "models/sql/statements.py", "        if settings:\n            sql", "        if False:\n            sql"
        ),
        red=[f"{LEAVES}[statement_timeout-{{}}-9]", f"{SESSIONS}test_a_setting_for_the_transaction_{REDONE}"],
    ),
    mutant(
        "a hint begins with the settings of a new session",
        Change("delivery/sessions.py", "    if found != expected:\n", "    if False:\n"),
        red=[f"{LEAVES}[TimeZone-{{'chunk': 1}}-9]"],
    ),
    mutant(
        "an isolated message has a transaction of its own",
        Change("delivery/atomic.py", "if not consumer.isolated:", "if True:"),
        red=[f"{SESSIONS}test_an_isolated_message_never_runs_as_the_tenant_of_another"],
    ),
    mutant(
        "what a row finds of a row before it is no failure",
        Change(
            "delivery/atomic.py",
            "        if turn and report.exception and execution.met_a_neighbour(report):\n",
            "        if False:\n",
        ),
        red=[f"{SESSIONS}test_a_temporary_table_of_one_message_is_no_failure_of_the_next[False]"],
    ),
    mutant(
        "the server is asked how its sessions are opened",
        Change("checks/sessions.py", "    if not idle:\n", "    if False:\n"),
        red=["checks/test_sessions::test_the_server_is_asked_how_its_sessions_are_opened[opened2-ids2]"],
    ),
    mutant(
        "what a handler has committed is settled though the database goes away",
        Change("delivery/database_errors.py", "            if monotonic() >= until:\n", "            if True:\n"),
        red=[
            "delivery/test_ended_transactions::"
            "test_rows_before_a_foreign_commit_have_one_effect_though_sessions_end_before_they_are_settled"
        ],
    ),
    mutant(
        "a session does not grow old",
        Change("delivery/sessions.py", "> conf().session_age.total_seconds()", "> 1e9"),
        red=[f"{SESSIONS}test_a_session_that_has_grown_old_is_closed_between_two_hints"],
    ),
    mutant(
        "a connection that broke is closed on whatever alias",
        Change(
            "delivery/sessions.py",
            "in connections.all(initialized_only=True):\n        if not connection.in_atomic_block:\n",
            'in [connections["default"]]:\n        if not connection.in_atomic_block:\n',
        ),
        red=[f"delivery/test_broken_connections::{BESIDE}"],
    ),
]
