"""Rules of numbers that run on, and of what is missing."""

from tests.mutants.mutant import Change, mutant

GIVING = "external/sequences/test_giving::"
EPOCHS = "external/sequences/test_epochs::"
LATE = "external/sequences/test_told_late::"
WATCHING = "external/sequences/test_watching::"

MUTANTS = [
    mutant(
        "numbers are given in the transaction that starts",
        Change(
            "delivery/numbering.py",
            "    with transaction.atomic(using=conf().database):\n        rows = start()\n        give(",
            "    rows = start()\n    with transaction.atomic(using=conf().database):\n        give(",
        ),
        red=[f"{GIVING}test_a_start_whose_numbers_cannot_be_given_starts_nothing"],
    ),
    mutant(
        "a number is kept over retries",
        Change("delivery/numbering.py", "new = sorted(set(ids) - (states.keys() - set(void)))", "new = sorted(ids)"),
        red=[f"{GIVING}test_a_number_is_kept_over_retries"],
    ),
    mutant(
        "workers that number one stream wait for each other",
        Change(
            "delivery/numbering.py",
            "    current = rows.select_for_update().first()\n",
            "    current = rows.first()\n",
        ),
        red=[f"{GIVING}test_workers_that_start_at_once_give_each_number_once"],
    ),
    mutant(
        "each routing key is a stream",
        Change("delivery/numbering.py", "by_key[topic].append(id)", 'by_key[""].append(id)'),
        red=[f"{GIVING}test_each_routing_key_has_numbers_of_its_own"],
    ),
    mutant(
        "another database begins another epoch",
        Change("delivery/numbering.py", "if current.origin != origin:", "if False:"),
        red=[f"{GIVING}test_in_another_database_the_numbers_begin_anew"],
    ),
    mutant(
        "a message whose number was said never to come gets another",
        Change("delivery/numbering.py", "if state == NumberState.VOID]", "if state == NumberState.SENT]"),
        red=[f"{LATE}test_a_message_that_is_reopened_after_its_number_was_said_never_to_come_has_another"],
    ),
    mutant(
        "an epoch that is over is told of for a day",
        Change("external/heartbeats.py", " | Exists(unsettled) | Exists(just_sent))", " | Exists(unsettled))"),
        red=[f"{LATE}test_an_epoch_that_is_over_is_told_of_for_a_day"],
    ),
    mutant(
        "what is sent of an epoch long after its end is told of for a day",
        Change(
            "external/heartbeats.py", "Exists(_confirmed()), Exists(goes_on) | Exists(over))", "Exists(_confirmed()))"
        ),
        red=[f"{LATE}test_what_is_sent_of_an_epoch_long_after_its_end_is_told_of_for_a_day"],
    ),
    mutant(
        "exchanges of headers are refused",
        Change("external/forwarding.py", "if sequence and exchange.type not in ALL_OR_NONE:", "if False:"),
        red=[f"{GIVING}test_an_exchange_of_headers_is_refused"],
    ),
    mutant(
        "what never comes is said to be void",
        Change("external/heartbeats.py", "Exists(closed) | ~Exists(message)", "~Exists(message)"),
        red=[f"{GIVING}test_what_was_discarded_is_said_to_come_never_and_the_heartbeat_names_what_is_open"],
    ),
    mutant(
        "a number that is given later is not spoken of",
        Change(
            "external/heartbeats.py",
            "    return Parcel(heartbeat_of(stream, given,",
            '    given = SequenceStream.objects.values_list("given", flat=True).get(pk=stream.pk)\n'
            "    return Parcel(heartbeat_of(stream, given,",
        ),
        red=[f"{GIVING}test_numbers_that_are_given_while_a_heartbeat_is_made_are_not_spoken_of"],
    ),
    mutant(
        "a heartbeat that cannot name all speaks of the lower numbers",
        Change(
            "external/heartbeats.py",
            "return pairs[False], pairs[True], number - 1",
            "return pairs[False], pairs[True], given",
        ),
        red=[f"{GIVING}test_a_heartbeat_that_cannot_name_all_speaks_of_the_lower_numbers"],
    ),
    mutant(
        "a void that was not sent is not held for said",
        Change("external/heartbeats.py", "    if error is None:\n        said =", "    if True:\n        said ="),
        red=[f"{GIVING}test_a_broker_that_is_away_is_noted_and_nothing_is_held_for_said"],
    ),
    mutant(
        "without a heartbeat no gap is claimed",
        Change("external/sequences/watching.py", "    if beats:\n", "    if True:\n"),
        Change("external/sequences/ranges.py", "span.said in (SENT, FAILED) and", ""),
        red=[f"{WATCHING}test_without_a_heartbeat_no_gap_is_claimed"],
    ),
    mutant(
        "the tail is found by the heartbeat",
        Change("external/sequences/ranges.py", "[*spans, *_missing(high + 1, given, now)]", "[*spans]"),
        red=[f"{WATCHING}test_the_last_of_all_is_found_by_the_heartbeat"],
    ),
    mutant(
        "what the sender still has is no gap",
        Change("external/sequences/ranges.py", "said in (SENT, FAILED)", "said in (SENT, FAILED, OPEN)"),
        red=[f"{WATCHING}test_what_the_sender_still_has_is_no_gap_however_long"],
    ),
    mutant(
        "a gap is one only after the limit",
        Change(
            "external/sequences/watching.py",
            "before=now - conf().gap_limit.total_seconds()",
            "before=now",
        ),
        red=[f"{WATCHING}test_what_was_sent_and_is_missing_for_longer_than_the_limit_is_a_gap"],
    ),
    mutant(
        "notices are no messages",
        Change("external/sequences/watching.py", "if sign is not None and sign.notice:", "if False:"),
        red=[f"{WATCHING}test_the_word_that_it_never_comes_closes_the_gap_and_is_no_message"],
    ),
    mutant(
        "what was sent before we listened is nobody's gap",
        Change(
            "external/sequences/watching.py",
            "begin = min(sign.number + (sign.notice == HEARTBEAT) for sign in signs)",
            "begin = 1",
        ),
        red=[f"{WATCHING}test_what_was_sent_before_we_listened_is_nobody_s_gap"],
    ),
    mutant(
        "an epoch that began while we listened begins at one",
        Change(
            "external/sequences/watching.py", "    if earlier.filter(*_before(signs)).exists():\n", "    if False:\n"
        ),
        red=[f"{EPOCHS}test_an_epoch_that_began_while_we_listened_begins_at_one_and_leaves_the_gaps_of_the_first"],
    ),
    mutant(
        "an epoch that began before we listened has no gap",
        Change("external/sequences/watching.py", "earlier.filter(*_before(signs))", "earlier"),
        red=[
            f"{EPOCHS}test_an_epoch_that_began_before_we_listened_has_no_gap_though_we_hear_of_the_one_before_it_first"
        ],
    ),
    mutant(
        "a gap that a person has closed stays closed",
        Change(
            "external/sequences/acts.py",
            "WatchedStream.objects.filter(pk=watched.pk).update(missing=left)",
            "del left",
        ),
        red=[f"{WATCHING}test_a_person_closes_a_gap_and_it_stays_closed"],
    ),
]
