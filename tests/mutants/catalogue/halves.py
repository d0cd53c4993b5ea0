"""Rules of half messages, and of the guard for effects that have no key of their own."""

from tests.mutants.mutant import Change, mutant

PREPARING, ASKING = "external/test_preparing::", "external/test_asking::"
PLACES = "external/test_places::"
DECIDING, KILLS, GUARD = "external/test_deciding::", "external/test_kills::", "contrib/test_redis_guard::"
SETTLING = "external/halves/settling.py"
LOST = "contrib/test_lost_owners::"
CLOCK = "external/test_clock_set_back::"

MUTANTS = [
    mutant(
        "half: after an exception it is not taken back",
        Change(
            "external/halves/preparing.py",
            "        if not prepared.is_taken_back:\n            ask_at_once(half)\n        raise",
            "        take_half_back(half, by=SettledBy.PRODUCER)\n        raise",
        ),
        red=[f"{PREPARING}test_after_an_exception_nobody_knows_and_the_check_is_asked_at_once"],
    ),
    mutant(
        "half: it is refused inside a transaction",
        Change(
            "external/halves/preparing.py",
            "if in_own_transaction(connection) or (not",
            "if (not",
        ),
        red=[f"{PREPARING}test_inside_a_transaction_it_is_refused"],
    ),
    mutant(
        "half: the check is not asked before the producer's time is over",
        Change("external/halves/preparing.py", "half.check_at = Now() + within", "half.check_at = Now()"),
        red=[f"{PREPARING}test_the_check_is_not_asked_before_the_producer_s_time_is_over"],
    ),
    mutant(
        "half: rows that were rolled back publish nothing",
        Change("external/halves/preparing.py", "        if not self._commits:\n", "        if True:\n"),
        red=[f"{PREPARING}test_rows_that_are_rolled_back_take_the_message_along"],
    ),
    mutant(
        "half: what was taken back cannot be committed",
        Change(SETTLING, "        refuse_if_taken_back(half)\n", "        pass\n"),
        red=[
            f"{PREPARING}test_once_it_is_taken_back_the_rows_cannot_be_committed",
            f"{PREPARING}test_a_producer_that_comes_to_its_end_too_late_hears_of_it",
        ],
    ),
    mutant(
        "half: it is settled once",
        Change("models/half.py", "return self.unsettled().update(", "return self.update("),
        red=[f"{PREPARING}test_what_is_a_message_cannot_be_taken_back"],
    ),
    mutant(
        "half: what follows from taking it back is published with it",
        Change(SETTLING, "        publish_otherwise(half)\n", "        pass\n"),
        red=[f"{ASKING}test_false_takes_it_back_with_what_follows_from_that"],
    ),
    mutant(
        "half: only True is yes",
        Change("external/halves/asking.py", "        case True:", "        case value if value:"),
        red=[f"{ASKING}test_an_answer_that_is_none_changes_nothing_and_counts"],
    ),
    mutant(
        "half: an answer is taken from the open question alone",
        Change(
            "external/halves/asking.py",
            "state=HalfState.OPEN, asked=half.asked, asked_at__isnull=False)",
            "state=HalfState.OPEN)",
        ),
        red=[f"{ASKING}test_an_answer_that_comes_too_late_changes_nothing"],
    ),
    mutant(
        "half: questions without an answer count, and a person is asked in the end",
        Change("external/halves/asking.py", "if fruitless >= waits.limit:", "if False:"),
        red=[f"{ASKING}test_while_it_is_not_known_it_is_asked_again_with_growing_waits_and_then_a_person"],
    ),
    mutant(
        "half: another side that is down does not count",
        Change("external/halves/asking.py", "frozenset({Said.UNAVAILABLE})", "frozenset()"),
        red=[f"{ASKING}test_the_other_side_may_be_down_for_as_long_as_it_likes"],
    ),
    mutant(
        "half: a process asks only so many at once",
        Change("external/halves/running.py", "        return AT_ONCE - len(self.halves)", "        return AT_ONCE + 1"),
        red=[f"{ASKING}test_a_process_asks_only_so_many_at_once"],
    ),
    mutant(
        "half: a process whose places are all taken leaves no heartbeat",
        Change(
            "external/halves/running.py", "            return 0\n        claimed", "            pass\n        claimed"
        ),
        red=[f"{PLACES}test_a_process_without_a_free_place_leaves_its_turn_to_others"],
    ),
    mutant(
        "half: one half message whose check hangs does not take all places",
        Change("external/halves/running.py", "if places >= OF_ONE)", "if places >= 99)"),
        red=[f"{PLACES}test_one_half_message_whose_check_hangs_leaves_places_to_the_others"],
    ),
    mutant(
        "half: a transaction that a check leaves open does no harm",
        Change("external/halves/asking.py", "        connections.close_all()  # whatever it has left open\n", ""),
        red=[f"{ASKING}test_a_transaction_that_a_check_leaves_open_does_no_harm"],
    ),
    mutant(
        "half: nobody decides while the producer may be at work",
        Change("external/halves/deciding.py", "if half.state == HalfState.OPEN and not half.asked:", "if False:"),
        red=[f"{DECIDING}test_while_the_producer_may_be_at_work_nobody_decides"],
    ),
    mutant(
        "half: who was slower is told",
        Change(
            "external/halves/deciding.py",
            "Half.objects.filter(pk=half_id, revision=revision).unsettled()",
            "Half.objects.filter(pk=half_id)",
        ),
        red=[f"{DECIDING}test_what_was_changed_since_one_looked_is_a_conflict"],
    ),
    mutant(
        "guard: one that died is a question for a person",
        Change("contrib/redis_scripts.py", "if not decided then return", "if false then return"),
        red=[
            f"{LOST}test_an_owner_that_was_killed_is_the_desk_s_question_and_a_retry_by_hand_acts",
            f"{GUARD}test_no_decision_is_read_out_of_what_is_no_retry",
        ],
    ),
    mutant(
        "guard: a decision is a retry, no other act",
        Change(
            "contrib/redis_scripts.py",
            "retried ~= ARGV[3] and tonumber(revision) < tonumber(ARGV[2])",
            "tonumber(revision) < tonumber(ARGV[2])",
        ),
        red=[f"{GUARD}test_no_decision_is_read_out_of_what_is_no_retry"],
    ),
    mutant(
        "guard: one that is missing is a question for a person",
        Change("contrib/redis_guard.py", "    if tried.exists():", "    if False:"),
        red=[f"{GUARD}test_a_guard_that_is_missing_for_what_was_tried_before_is_the_desk_s_question"],
    ),
    mutant(
        "guard: an error of which nobody knows is the end",
        Change("contrib/redis_guard.py", "if said_to_have_acted(error) is False:", "if True:"),
        red=[f"{GUARD}test_an_error_of_which_nobody_knows_is_the_end_at_once"],
    ),
    mutant(
        "guard: what another call says that was being handled gives no guard back",
        Change("failures/reasons.py", "if decided is False and is_own and first", "if decided is False and first"),
        red=[f"{GUARD}test_a_second_supplier_whose_answer_is_lost_is_not_asked_again_as_the_first_was_not_there"],
    ),
    mutant(
        "guard: a slow owner says that it lives",
        Change("contrib/redis_heart.py", "        redis_scripts.beat(client(), key, owner)\n", "        pass\n"),
        red=[f"{LOST}test_a_slow_owner_says_that_it_lives"],
    ),
    mutant(
        "guard: an answer that was lost is given back",
        Change(
            "contrib/redis_heart.py",
            "        settle_later(key, owner, state, kept)\n\n\ndef settle_later",
            "        pass\n\n\ndef settle_later",
        ),
        red=[f"{GUARD}test_an_effect_that_redis_could_not_be_told_of_is_told_later"],
    ),
    mutant(
        "guard: what is taken never expires",
        Change("contrib/redis_scripts.py", "redis.call('PERSIST', KEYS[1])", "redis.call('PEXPIRE', KEYS[1], 60000)"),
        red=[f"{GUARD}test_what_is_taken_never_expires_and_what_is_done_outlives_the_message"],
    ),
    mutant(
        "half: after the clock was set back it waits as long as was meant",
        Change("maintenance/set_back.py", 'then=_from_now(F("check_at") - F("began"))', "then=Now()"),
        red=[
            f"{CLOCK}test_a_producer_has_the_time_that_it_was_given",
            f"{CLOCK}test_between_two_questions_is_the_wait_that_was_meant",
            f"{CLOCK}test_a_check_that_is_being_asked_has_the_time_to_answer",
        ],
    ),
    mutant(
        "half: no check waits for longer than any wait can be",
        Change(
            "maintenance/set_back.py", "halves.filter(Q(began__gt=Now()) | too_far)", "halves.filter(began__gt=Now())"
        ),
        red=[f"{CLOCK}test_a_question_that_a_person_has_asked_for_is_asked_at_once"],
    ),
    mutant(
        "half: a wait that was written long before the clock was set back is not cut short",
        Change("maintenance/set_back.py", "check_at__gt=Now() + LONGEST_WITHIN", "check_at__gt=Now()"),
        red=[f"{CLOCK}test_a_wait_that_was_written_long_ago_is_not_cut_short"],
    ),
]
