"""Rules of how the broker is watched, of dead letters, and of threads that a handler leaves."""

from tests.mutants.mutant import Change, mutant

LETTERS, WATCHING = "broker/test_dead_letters::", "broker/test_watching::"
FINDINGS, PAGE = "monitoring/test_broker_findings::", "admin/test_broker::"

MUTANTS = [
    mutant(
        "watched: an alarm is asked for by publishing",
        Change("broker/watching.py", "        self._await_alarm()\n", ""),
        red=[f"{WATCHING}test_an_alarm_is_seen_with_its_cause_and_is_over_when_it_is_over"],
    ),
    mutant(
        "watched: a queue that is not there hides none of the others",
        Change(
            "broker/watching.py",
            "                channel = connection.transport.create_channel(self._wire)\n            else:",
            "                return\n            else:",
        ),
        red=[f"{WATCHING}test_what_waits_is_held_and_lives_on_one_node_is_seen"],
    ),
    mutant(
        "watched: an answer that drips is cut off",
        Change("broker/management.py", "            one.shutdown(SHUT_RDWR)", "            pass"),
        red=[f"{WATCHING}test_an_answer_that_drips_is_cut_off_at_the_deadline"],
    ),
    mutant(
        "watched: a broker that is reached by TLS is asked by TLS",
        Change("broker/management.py", "is_tls = bool(broker.ssl) or ", "is_tls = bool(broker.ssl) and "),
        red=[f"{WATCHING}test_where_it_is_asked_and_as_whom"],
    ),
    mutant(
        "watched: an answer has a size",
        Change("broker/management.py", "    if len(body) > BYTES:", "    if False:"),
        red=[f"{WATCHING}test_what_lies_is_silent"],
    ),
    mutant(
        "watched: a figure that is none is not known",
        Change(
            "broker/watching.py", "return value if type(value) is int and 0 <= value < 2**63 else None", "return value"
        ),
        red=[f"{WATCHING}test_figures_that_are_none_are_not_known"],
    ),
    mutant(
        "watched: what is old is not said any more",
        Change(
            "monitoring/broker_findings.py",
            "if seen.looked is None or seen.looked > OUTDATED_AFTER:",
            "if seen.looked is None:",
        ),
        red=[f"{FINDINGS}test_nothing_is_in_order_because_nobody_has_looked"],
    ),
    mutant(
        "watched: one of many looks",
        Change("monitoring/broker.py", "every=EVERY if was_mine else TAKEN_OVER_AFTER", "every=EVERY"),
        red=[f"{FINDINGS}test_one_of_many_looks_and_the_same_one_again"],
    ),
    mutant(
        "watched: an alarm is told once",
        Change("monitoring/chore_findings.py", "measurements.alarmed and _is_alarm_named(measurements)", "False"),
        red=[f"{FINDINGS}test_an_alarm_is_told_once"],
    ),
    mutant(
        "dead letters: those that were discarded are taken off",
        Change("broker/dead_letters.py", "            elif read.digest in discarded:", "            elif False:"),
        red=[f"{LETTERS}test_letters_are_noted_stay_in_their_queue_and_go_when_they_are_discarded"],
    ),
    mutant(
        "dead letters: one that another rescan holds stays discarded",
        Change("maintenance/dead_letters.py", "(Q(digest__in=lost) & forgotten)", "Q(digest__in=lost)"),
        red=[f"{LETTERS}test_a_letter_that_another_rescan_holds_just_then_keeps_that_it_was_discarded"],
    ),
    mutant(
        "dead letters: one that was read too often is replaced by a copy",
        Change("broker/dead_letters.py", "        renew(copy_of(letter))\n", ""),
        red=[f"{LETTERS}test_a_letter_that_was_read_too_often_for_rabbitmq_is_put_back_as_a_copy"],
    ),
    mutant(
        "dead letters: only what was shown is discarded",
        Change("operate/dead_letters.py", "shown().filter(pk__in=ids)", "shown()"),
        red=[f"{PAGE}test_the_letters_that_were_shown_are_discarded_with_a_reason_and_later_ones_are_not"],
    ),
    mutant(
        "dead letters: discarding takes the permission",
        Change("operate/dead_letters.py", "    action.check()\n", ""),
        red=[f"{PAGE}test_without_the_permission_nothing_is_discarded"],
    ),
    mutant(
        "threads that a handler leaves are named",
        Change("delivery/process_state.py", "threading.active_count() != len(self.threads)", "False"),
        red=["delivery/test_threads_left::test_a_handler_that_leaves_a_thread_running_is_named_once"],
    ),
]
