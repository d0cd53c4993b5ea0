"""Rules of what operators close by hand, and of what the business hears of it."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "a retry where the other side may have acted takes the word that it was asked",
        Change("operate/messages.py", "elif not asked_other_side and message", "elif False and message"),
        red=["operate/test_suspects::test_it_takes_the_word_that_the_other_side_was_asked"],
    ),
    mutant(
        "to know of evidence that is not there does not stand for having asked",
        Change(
            "operate/messages.py", "elif not asked_other_side", "elif not despite_evidence and not asked_other_side"
        ),
        red=["operate/test_suspects::test_to_know_of_evidence_that_is_not_there_does_not_stand_for_having_asked"],
    ),
    mutant(
        "the business hears of what an operator withdraws, and may refuse it",
        Change("operate/waiting.py", 'tells=hook_of(message, "on_withdrawn")', "tells=None"),
        red=["operate/test_waiting::test_the_business_may_refuse_a_withdrawal"],
    ),
    mutant(
        "a hook that ended the transaction and began another is noticed",
        Change(
            "operate/hooks.py",
            'try:\n        _execute(connection, f"RELEASE SAVEPOINT {name}")\n    except Error as error:',
            "try:\n        pass\n    except Error as error:",
        ),
        red=["operate/test_hooks::test_a_hook_that_spoils_the_transaction_is_noticed_and_nothing_is_done"],
    ),
    mutant(
        "a hook that hid a database error is noticed",
        Change("models/sql/transaction_status.py", "aborted or connection.needs_rollback", "aborted"),
        red=["operate/test_hooks::test_a_hook_that_spoils_the_transaction_is_noticed_and_nothing_is_done"],
    ),
    mutant(
        "the business is told of a message only as the operator has seen it",
        Change(
            "operate/message_row.py",
            "message = seen.select_for_update(no_key=True).first()",
            "message = Message.objects.filter(pk=closing.message.pk).first()",
        ),
        red=[
            "operate/test_hooks::test_a_message_changed_while_it_is_being_locked_is_a_conflict_and_the_business_is_not_told"
        ],
    ),
    mutant(
        "an act whose hook meets others is done again",
        Change("operate/hooks.py", "if not is_conflict(error):", "if True:"),
        red=[
            "operate/test_hooks::test_a_hook_that_meets_another_s_lock_is_done_again_and_then_says_that_others_are_at_work"
        ],
    ),
    mutant(
        "what the business cannot take back is not reopened",
        Change("operate/actions.py", "consumer is not None and consumer.closes_for_good", "consumer is None"),
        red=["operate/test_hooks::test_without_a_way_back_nothing_is_reopened_and_the_desk_says_why"],
    ),
    mutant(
        "the text of an error turns nothing around at the desk",
        Change("operate/hooks.py", "said = _visible(text_of(error))", "said = text_of(error)"),
        red=["operate/test_hooks::test_what_a_hook_raises_refuses_the_act_in_words_that_are_safe_to_show"],
    ),
    mutant(
        "one order number proves one message, however it is typed",
        Change("models/evidence.py", "hashlib.sha256(normalise(text).encode())", "hashlib.sha256(text.encode())"),
        red=["operate/test_evidence::test_one_order_number_proves_one_message_however_it_is_typed"],
    ),
    mutant(
        "who is too late with an order number is told which message has it",
        Change("operate/evidence.py", "    except IntegrityError as error:", "    except ZeroDivisionError as error:"),
        red=[
            "operate/test_evidence::test_a_number_taken_between_the_look_and_the_write_is_told_and_nothing_is_changed"
        ],
    ),
    mutant(
        "what was issued is retried only by somebody who knows of it",
        Change("operate/messages.py", "        if not despite_evidence:\n", "        if False:\n"),
        red=["operate/test_evidence::test_what_was_issued_is_retried_only_by_somebody_who_knows_of_it"],
    ),
    mutant(
        "the audit keeps no text of an evidence",
        Change("operate/messages.py", '"evidence": row.seal}', '"evidence": row.text}'),
        red=["operate/test_evidence::test_the_audit_keeps_a_seal_and_never_the_text"],
    ),
    mutant(
        "a success after an issue by hand is an alarm",
        Change(
            "operate/message_row.py", "update(retried_at=Now(), acknowledged_at=None)", "update(acknowledged_at=None)"
        ),
        red=[
            "operate/test_double_issue::"
            "test_a_success_after_it_was_issued_by_hand_is_an_alarm_until_it_is_acknowledged",
        ],
    ),
    mutant(
        "a handler that acted after the message was handled is an alarm",
        Change(
            "delivery/settling.py",
            "doubled = Evidence.objects.note_double(report.message.pk) if _has_acted(report) else 0",
            "doubled = 0",
        ),
        red=["operate/test_double_issue::test_a_handler_that_acted_after_the_message_was_handled_is_an_alarm"],
    ),
    mutant(
        "a handler that came late and did nothing is no alarm",
        Change("delivery/settling.py", "if _has_acted(report) else 0", "if report else 0"),
        red=["operate/test_double_issue::test_a_handler_that_came_late_and_did_nothing_is_no_alarm"],
    ),
    mutant(
        "each end is told once, and anew after an operator's retry",
        Change("delivery/ends.py", 'key=f"{pk}.{revision}"', 'key=f"{pk}"'),
        red=["delivery/test_ends::test_an_end_after_an_operator_s_retry_is_told_anew"],
    ),
    mutant(
        "of two ends of a message only the last is told",
        Change("closings.py", "if (row.pk, row.revision) in ends and row.resolution", "if row.resolution"),
        red=["delivery/test_ends::test_of_two_ends_of_a_message_the_last_is_told_once"],
    ),
    mutant(
        "what is overdue is told as well",
        Change("maintenance/recovery.py", "            publish_ends(consumer, keys)\n", ""),
        red=["delivery/test_ends::test_every_end_of_the_machine_s_is_told"],
    ),
    mutant(
        "what no worker took is told as well",
        Change("maintenance/rescan.py", "            publish_ends(consumer.name, [row.id for row in unwanted])\n", ""),
        red=["delivery/test_ends::test_every_end_of_the_machine_s_is_told"],
    ),
]
