"""Rules of what is forwarded to others."""

from tests.mutants.mutant import Change, mutant

TROUBLE = "external/test_brokers_in_trouble"

MUTANTS = [
    mutant(
        "what came back unroutable is no success, though the broker confirms it",
        Change("external/publisher.py", "if message_id in self._under_way.returned:", "if False:"),
        red=["external/test_forwarding::test_what_no_queue_is_bound_for_is_a_failed_attempt_and_in_the_end_unroutable"],
    ),
    mutant(
        "unroutable has a reason of its own",
        Change("delivery/relaying.py", "outcome=Failed(Reason.UNROUTABLE)", "outcome=Failed()"),
        red=["external/test_forwarding::test_what_no_queue_is_bound_for_is_a_failed_attempt_and_in_the_end_unroutable"],
    ),
    mutant(
        "of an ordering key one message is under way",
        Change("external/parcels.py", "if key and key in self.behind:", "if False:"),
        red=["external/test_forwarding::test_behind_one_that_is_not_confirmed_nothing_of_its_key_is_sent"],
    ),
    mutant(
        "a nack spends nothing",
        Change(
            "external/publisher.py",
            'parcel.error = Unavailable("the broker did',
            'parcel.error = ValueError("the broker did',
        ),
        red=[f"{TROUBLE}::test_a_queue_that_is_full_spends_nothing"],
    ),
    mutant(
        "a forward never becomes a suspect",
        Change("policy.py", "        case WorkerLost(innocent=True):\n            return Again(ZERO, free=True)\n", ""),
        red=["external/test_forwarding::test_a_worker_that_was_lost_makes_no_suspects_and_spends_nothing"],
    ),
    mutant(
        "a chunk that closes the channel is halved",
        Change(
            "external/sending.py",
            "            except (ClosedByBroker, ConnectionGone) as error:",
            "            except ZeroDivisionError as error:",
        ),
        red=[f"{TROUBLE}::test_the_message_that_closes_the_channel_is_found_and_fails_alone"],
    ),
    mutant(
        "the guilty message spends attempts",
        Change(
            "external/sending.py",
            "                    left[0].error = Refused(",
            "                    left[0].error = Unavailable(",
        ),
        red=[f"{TROUBLE}::test_the_message_that_closes_the_channel_is_found_and_fails_alone"],
    ),
    mutant(
        "a memory alarm is noticed",
        Change("external/publisher.py", "        self._blocked = True\n", "        pass\n"),
        red=[f"{TROUBLE}::test_while_the_memory_alarm_is_on_nothing_is_spent"],
    ),
    mutant(
        "by amqps the certificate is for the name of the address",
        Change(
            "external/brokers.py",
            '        options.setdefault("server_hostname", parse_url(url)["hostname"])\n',
            "        pass\n",
        ),
        red=["external/test_tls::test_a_certificate_for_another_name_is_refused"],
    ),
    mutant(
        "of what was sent and not confirmed it is said that it may have arrived",
        Change("external/sending.py", "Unconfirmed(str(error)) if parcel.sent else ", ""),
        red=[f"{TROUBLE}::test_a_broker_that_falls_silent_after_it_was_sent_to_spends_nothing"],
    ),
    mutant(
        "one that was overtaken harms no other",
        Change("delivery/relaying.py", "return _settle_ours(consumer, reports, again=tries > 1), []", "raise"),
        red=["external/test_forwarding::test_one_that_was_overtaken_meanwhile_harms_none"],
    ),
]
