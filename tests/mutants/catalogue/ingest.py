"""Rules of receiving: taken in once, acknowledged then, quarantined rather than dropped."""

from tests.mutants.mutant import Change, mutant

TAKING = "external/ingest/test_taking_in::"
RECEIVER = "external/ingest/test_receiver::"
AHEAD = "external/ingest/test_ahead::"
ACTS = "external/ingest/test_acts::"

MUTANTS = [
    mutant(
        "the key has the source in it",
        Change("external/ingest/reading.py", "return _digest(source.encode(), ", 'return _digest(b"", '),
        Change("external/ingest/reading.py", 'key = f"{source}:{sender_id}"', "key = sender_id"),
        red=[f"{TAKING}test_one_partner_s_ids_are_not_another_s"],
    ),
    mutant(
        "an id is known although its message is gone",
        Change("external/ingest/taking_in.py", "if one.id in new and first", "if first"),
        red=[f"{TAKING}test_an_id_is_known_for_longer_than_its_message_lives"],
    ),
    mutant(
        "a known id with other content is not taken for a redelivery",
        Change("external/ingest/taking_in.py", "elif contents[one.id] == one.content:", "elif one.id in contents:"),
        red=[f"{TAKING}test_the_guilty_go_alone_and_their_neighbours_are_taken_in"],
    ),
    mutant(
        "what was refused after all is not known once it is mended",
        Change("external/ingest/taking_in.py", "    if guilty:\n", "    if guilty is None:\n"),
        red=[f"{TAKING}test_what_is_refused_only_when_it_is_written_is_not_known_once_it_is_mended"],
    ),
    mutant(
        "the guilty alone are refused",
        Change("external/ingest/taking_in.py", "if len(fresh) == 1:", "if len(fresh) >= 1:"),
        red=[f"{TAKING}test_the_guilty_go_alone_and_their_neighbours_are_taken_in"],
    ),
    mutant(
        "messages that go round end in quarantine",
        Change("external/ingest/reading.py", ">= conf().hop_limit and", "> 10 * conf().hop_limit and"),
        red=[f"{TAKING}test_the_guilty_go_alone_and_their_neighbours_are_taken_in"],
    ),
    mutant(
        "the quarantine has an end, and what it has no room for is not dropped",
        Change("external/ingest/quarantine.py", "            left.append(one)\n", ""),
        red=[f"{TAKING}test_beyond_the_cap_nothing_is_put_into_quarantine_and_nothing_is_dropped"],
    ),
    mutant(
        "what is delivered again is one row in quarantine",
        Change("external/ingest/quarantine.py", "if _was_delivered_again(row):", "if not row:"),
        red=[f"{TAKING}test_what_is_delivered_again_is_the_same_row_in_quarantine"],
    ),
    mutant(
        "what others hold up is no fault of a message",
        Change("external/ingest/receiver.py", " is Fault.DATABASE or was_held_up(error):", " is Fault.DATABASE:"),
        red=[
            f"{RECEIVER}test_what_others_hold_up_is_waited_for_and_never_put_into_quarantine",
            "external/receipts/test_held_up::test_receipts_that_others_hold_up_are_applied_once_they_let_go",
        ],
    ),
    mutant(
        "nothing is acknowledged before it is committed",
        Change(
            "external/ingest/receiver.py",
            "                outcome = self._take(batch)",
            "                self._feed.ack(batch, all_before=True)\n                outcome = self._take(batch)",
        ),
        red=[f"{RECEIVER}test_what_is_committed_is_acknowledged_and_then_more_is_asked_for"],
    ),
    mutant(
        "what there is no room for is not acknowledged with the rest",
        Change("external/ingest/receiver.py", "all_before=not self._in_hand)", "all_before=True)"),
        red=[f"{RECEIVER}test_what_the_quarantine_has_no_room_for_is_kept_in_hand_and_its_neighbours_are_acknowledged"],
    ),
    mutant(
        "while nothing can be settled nothing is consumed",
        Change(
            "external/ingest/receiver.py",
            "        self._feed.stop_consuming()\n        self._held_since",
            "        self._held_since",
        ),
        red=[f"{RECEIVER}test_while_the_database_is_away_nothing_is_acknowledged_or_asked_for"],
    ),
    mutant(
        "what was delivered before comes one at a time",
        Change("external/ingest/receiver.py", "        prefetch = 1\n", "        prefetch = PREFETCH\n"),
        red=[f"{RECEIVER}test_as_long_as_what_comes_was_delivered_before_it_comes_one_at_a_time"],
    ),
    mutant(
        "over what ends its receiver no function is called for ever",
        Change("external/ingest/in_hand.py", "times__lte=ENDED_OVER", "times__gte=0"),
        red=[f"{RECEIVER}test_over_what_a_receiver_has_ended_three_times_no_function_is_called_any_more"],
    ),
    mutant(
        "trouble at the database is not held against what is in hand",
        Change("external/ingest/in_hand.py", "(0 if id in mine else 1)", "1"),
        red=[f"{RECEIVER}test_trouble_at_the_database_is_not_held_against_the_message_in_hand"],
    ),
    mutant(
        "a source is received up to high water",
        Change("external/ingest/receiver.py", "self._room.take(outcome.rows)", "self._room.take(0)"),
        red=[f"{RECEIVER}test_at_high_water_nothing_is_asked_for_until_consumers_have_caught_up"],
    ),
    mutant(
        "what was settled by one person is not settled by another",
        Change("external/ingest/acts.py", "if row.state != QuarantineState.OPEN:", "if False:"),
        Change(
            "external/ingest/acts.py",
            "Quarantined.objects.open().filter(pk=row.pk),",
            "Quarantined.objects.filter(pk=row.pk),",
        ),
        red=[f"{ACTS}test_what_is_discarded_stays_discarded_and_makes_room"],
    ),
    mutant(
        "whoever reads ahead gives the feed back before anything is acknowledged",
        Change("external/ingest/ahead.py", "        thread.join()\n", ""),
        red=[f"{AHEAD}test_the_next_batch_is_read_while_this_one_is_written_and_each_message_once"],
    ),
    mutant(
        "what was delivered before is not read ahead, as it may end its receiver",
        Change(
            "external/ingest/feed.py",
            "                if delivery.incoming.redelivered:\n                    return\n",
            "",
        ),
        red=[f"{AHEAD}test_what_was_delivered_before_is_not_read_ahead"],
    ),
    mutant(
        "what is read ahead is not read a second time",
        Change(
            "external/ingest/taking_in.py",
            "ahead.get(id(incoming)) or read(source, incoming)",
            "read(source, incoming)",
        ),
        red=[f"{AHEAD}test_the_next_batch_is_read_while_this_one_is_written_and_each_message_once"],
    ),
    mutant(
        "what goes wrong while reading ahead is not lost",
        Change("external/ingest/ahead.py", "    if wrong:\n", "    if not wrong:\n        return\n    if False:\n"),
        red=[f"{AHEAD}test_a_broker_that_goes_away_meanwhile_takes_nothing_along_that_was_committed"],
    ),
]
