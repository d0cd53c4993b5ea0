"""How a consumer's timeout is kept."""

from tests.mutants.mutant import Change, mutant

SUITE = "delivery/test_time_limits::"
HANGS = f"{SUITE}test_a_handler_that_hangs_is_broken_off_and_its_neighbours_succeed"
SWALLOWS = f"{SUITE}test_a_handler_that_swallows_its_breaking_off_has_timed_out_all_the_same"
ENDED = f"{SUITE}test_when_a_process_is_ended_the_message_has_timed_out_and_its_neighbours_are_given_back"

MUTANTS = [
    mutant(
        "a statement that runs when time is up is cancelled at once",
        Change("delivery/time_limits.py", "call.cancel_at and _runs_a_statement(raw):", "call.cancel_at and False:"),
        red=[f"{HANGS}[0-ask_without_the_servers_limit]"],
    ),
    mutant(
        "a handler that hangs is sent a signal",
        Change("delivery/time_limits.py", "signal.pthread_kill(self.main.ident or 0, SIGNAL)", "pass"),
        red=[f"{HANGS}[0-sleep]"],
    ),
    mutant(
        "a handler that swallows its breaking off has timed out",
        Change(
            "delivery/time_limits.py",
            "        raise _reached(consumer)\n    return left",
            "        pass\n    return left",
        ),
        red=[f"{SWALLOWS}[swallow_everything]"],
    ),
    mutant(
        "a handler that goes on is broken off once more",
        Change(
            "delivery/time_limits.py",
            "at = monotonic() + AGAIN",
            "at = monotonic() + 60",
        ),
        red=[f"{SWALLOWS}[swallow_and_go_on]"],
    ),
    mutant(
        "the server breaks off a statement where no signal can",
        Change("delivery/atomic.py", ", limit=consumer.timeout + STATEMENT_MARGIN", ""),
        red=[f"{SUITE}test_in_a_thread_a_statement_that_hangs_is_broken_off"],
    ),
    mutant(
        "a shorter limit of the session stays in force",
        Change("models/sql/statements.py", "< limited.to::interval", "< '0'"),
        red=[
            f"{SUITE}test_a_statement_has_the_limit_of_its_consumer_unless_the_session_has_a_shorter_one[1500ms-1500ms]"
        ],
    ),
    mutant(
        "the neighbours of a row that ended its process are given back",
        Change(
            "delivery/hard_end.py",
            "[*reports, *execution.give_back(neighbours)]",
            "reports",
        ),
        red=[ENDED],
    ),
    mutant(
        "a row that ended its process is started alone",
        Change("policy.py", "counters.lost + 1 if ended_its_worker else 0", "0"),
        red=[ENDED],
    ),
]
