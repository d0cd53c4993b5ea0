"""Rules of the hints' way to the broker."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "a dispatcher that fails does not fail the request",
        Change("broker/dispatcher.py", "using=conf().database, robust=True)", "using=conf().database)"),
        red=["test_publishing_in_transactions::test_a_dispatcher_that_fails_does_not_fail_the_request"],
    ),
    mutant(
        "an unroutable hint counts as not sent",
        Change(
            "broker/connection.py",
            "                self._refused[task_id] = hint\n\n    def _connection_of",
            "                pass\n\n    def _connection_of",
        ),
        red=[
            "broker/test_connection::test_a_hint_for_a_queue_that_was_deleted_counts_as_not_sent_and_the_next_finds_it_made_again",
            "broker/test_connection::test_only_the_hints_that_found_no_queue_are_missing",
        ],
    ),
    mutant(
        "a rejected hint counts as not sent",
        Change(
            "broker/connection.py",
            "                task_id, hint = self._outstanding.pop(settled)\n                self._refused[task_id] =",
            "                task_id, hint = self._outstanding.pop(settled)\n                _ignored =",
        ),
        red=["broker/test_connection::test_a_hint_that_a_full_queue_rejects_counts_as_not_sent"],
    ),
    mutant(
        "confirms are awaited",
        Change("broker/connection.py", "            self._await_confirms()\n", ""),
        red=[
            "broker/test_frozen_connections::test_what_is_sent_over_a_frozen_link_is_missing_within_the_deadline",
            "broker/test_connection::test_a_hint_that_a_full_queue_rejects_counts_as_not_sent",
        ],
    ),
    mutant(
        "a forked child has a dispatcher of its own",
        Change("broker/dispatcher.py", "os.register_at_fork(after_in_child=_after_fork)\n", ""),
        red=[
            "broker/test_dispatcher_in_processes::test_a_forked_child_has_a_dispatcher_of_its_own_and_leaves_the_parent_s_alone"
        ],
    ),
    mutant(
        "a process that ends sends what waits",
        Change("broker/dispatcher.py", "atexit.register(drain)\n", ""),
        red=["broker/test_dispatcher_in_processes::test_a_process_that_ends_sends_what_waits_first"],
    ),
    mutant(
        "a request never waits for the broker",
        Change("broker/dispatcher.py", "self._waiting.put_nowait(ids)", "self._send(ids)"),
        red=[
            "broker/test_dispatcher_in_processes::test_publishing_and_committing_do_not_wait_for_a_broker_that_does_not_answer"
        ],
    ),
    mutant(
        "Celery's own queues are durable or exclusive",
        Change(
            "worker/integration.py",
            "app.conf[durable] = not (_is_given(app, exclusive) and app.conf[exclusive])",
            "app.conf[durable] = False",
        ),
        red=[
            "worker/test_integration::test_a_queue_of_celery_s_is_durable_or_exclusive_unless_the_host_has_it_otherwise"
        ],
    ),
    mutant(
        "hints go to any address of the broker's list",
        Change("broker/connection.py", "addresses or [current]", "addresses[:1] or [current]"),
        red=["broker/test_addresses::test_hints_go_to_the_second_address_while_the_first_does_not_answer"],
    ),
    mutant(
        "the address that worked is the first to be tried again",
        Change(
            "broker/connection.py", "            addresses.sort(key=lambda address: address != self._address)\n", ""
        ),
        red=["broker/test_addresses::test_the_address_that_worked_is_the_first_to_be_tried_again"],
    ),
    mutant(
        "an idle connection that is gone is replaced before the dispatcher rests",
        Change(
            "broker/confirming.py",
            "return self.is_open and monotonic() - self._used_at > IDLE_SECONDS",
            "return False",
        ),
        red=[
            "broker/test_idle_connections::test_the_depth_is_asked_over_a_new_connection",
            "broker/test_idle_connections::test_the_dispatcher_does_not_rest_because_of_it",
        ],
    ),
    mutant(
        "a refused queue is told from a broker that is away",
        Change("broker/connection.py", "raise refusal_of(queue.name, connection, error) from error", "raise"),
        red=[
            "broker/test_refused_queues::test_a_left_over_queue_is_named_with_what_the_broker_said",
        ],
    ),
    mutant(
        "a refused queue holds up no hint for another",
        Change("broker/dispatcher.py", "            if not error.queue:", "            if error.queue:"),
        red=[
            "broker/test_refused_queues::test_the_dispatcher_sends_the_hints_of_the_other_consumers_and_does_not_rest"
        ],
    ),
    mutant(
        "a worker told to stop waits for what a process was handed",
        Change("worker/handed_jobs.py", "pool.process_flush_queues(process)", "return"),
        red=["worker/test_handed_jobs::test_a_job_that_a_frozen_process_was_handed_is_done_and_its_result_is_read"],
    ),
    mutant(
        "a worker consumes the others where one queue is refused",
        Change(
            "worker/hint_consumer.py",
            "except refusals as error:",
            "except ZeroDivisionError as error:",
        ),
        red=["worker/test_hint_consumer::test_a_queue_that_the_broker_refuses_holds_up_no_other_and_is_tried_again"],
    ),
    mutant(
        "a lost connection is told to Celery as one",
        Change("worker/hint_consumer.py", "raise RecoverableConnectionError(", "raise RuntimeError("),
        red=["worker/test_hint_consumer::test_whoever_finds_the_connection_gone_has_celery_connect_again"],
    ),
    mutant(
        "what the broker refuses is known before the connection breaks",
        Change(
            "worker/hint_consumer.py",
            "except refusals as error:",
            "except connection_of(self.channel).client.channel_errors as error:",
        ),
        red=[
            "worker/test_hint_consumer::test_a_connection_that_breaks_while_it_begins_is_not_taken_for_something_else"
        ],
    ),
    mutant(
        "a queue that has hints and gives none gets another channel",
        Change("worker/quiet_queues.py", "found.append(name)", "pass"),
        red=["worker/test_hint_consumer::test_a_queue_that_has_hints_and_gives_none_gets_another_channel"],
    ),
    mutant(
        "a queue has not stalled while its hints are under way",
        Change("worker/quiet_queues.py", "self._is_idle(name) and ", ""),
        red=["worker/test_hint_consumer::test_a_consumer_that_is_busy_or_has_nothing_to_take_keeps_its_channel"],
    ),
    mutant(
        "a broker that is there and takes nothing is no broker without trouble",
        Change("maintenance/rescan.py", "bool(missing) and bool(connection.trouble)", "False"),
        red=["maintenance/test_rescan::test_a_broker_that_takes_nothing_is_noted_as_trouble"],
    ),
    mutant(
        "who is missing is told by who takes from the control queue",
        Change("monitoring/causes.py", "Cause.NO_WORKER: seen.takers == 0", "Cause.NO_WORKER: False"),
        red=["monitoring/test_causes::test_of_several_signs_the_one_that_others_rest_upon_is_the_cause"],
    ),
    mutant(
        "a rescan that fails is written down",
        Change("monitoring/causes.py", "        _note(error)\n", ""),
        red=["monitoring/test_causes::test_a_failure_is_the_cause_only_until_a_rescan_succeeds"],
    ),
    mutant(
        "what a policy drops is read from its dead letter",
        Change(
            "broker/dead_letters.py",
            "                self.note(read.queue, read.reason)\n",
            "                pass\n",
        ),
        red=["broker/test_dropped_hints::test_a_hint_that_was_dropped_is_named_and_its_dead_letter_taken_off"],
    ),
    mutant(
        "a hint that killed its workers stays among the dead letters",
        Change("broker/dead_letters.py", "requeue=True", "requeue=False"),
        red=["broker/test_dropped_hints::test_a_hint_that_killed_its_workers_stays_where_it_is"],
    ),
    mutant(
        "TLS that fails is not a broker that is away",
        Change("broker/opening.py", "_distrust(connection, error, setting) or error", "error"),
        red=["broker/test_tls::test_a_certificate_of_another_authority_is_named_with_the_file_that_lacks_it"],
    ),
    mutant(
        "the date of a certificate is read although it is over",
        Change("broker/tls.py", "        context.verify_flags |= NO_CHECK_TIME\n", ""),
        red=["broker/test_tls::test_an_expired_certificate_is_named_with_its_date"],
    ),
]
