"""Rules of receipts: who is believed, for which attempt, and what becomes of silence."""

from tests.mutants.mutant import Change, mutant

APPLYING, FORGED = "external/receipts/test_applying::", "external/receipts/test_forged::"
SETTLED, AWAITED = "external/receipts/test_settled_already::", "external/receipts/test_awaited::"
TELLING = "external/receipts/test_telling::"
COSTS = "external/receipts/test_costs::"
IN_A_TEST = "external/receipts/test_in_a_test::"
TAKING = "external/receipts/taking_in.py"

MUTANTS = [
    mutant(
        "what waits for a receipt is not due before its end",
        Change(
            "models/queryset.py", "update(due_at=then, lease_until=then, worker=", "update(lease_until=then, worker="
        ),
        red=[f"{COSTS}test_a_hundred_thousand_rows_that_wait_for_receipts_slow_no_search"],
    ),
    mutant(
        "silence is no lost worker",
        Change(
            "maintenance/recovery.py", "silent = settle_silent(consumer, rows)", "silent = settle_silent(consumer, [])"
        ),
        red=[f"{AWAITED}test_silence_is_a_counted_attempt_and_then_it_is_sent_again"],
    ),
    mutant(
        "a worker lost before it sent is not the receiver's silence",
        Change("models/receipt.py", "if attempt == attempts[id]", "if id"),
        red=[f"{AWAITED}test_a_worker_that_was_lost_before_it_was_sent_costs_nothing"],
    ),
    mutant(
        "a receipt may be faster than the confirm",
        Change(
            "delivery/relaying.py",
            "        database_errors.once_back(lambda: AwaitedReceipt",
            "        _ = (lambda: AwaitedReceipt",
        ),
        red=[f"{AWAITED}test_a_receipt_that_is_faster_than_our_own_settle_is_no_double_issue"],
    ),
    mutant(
        "what a receipt has settled is no late attempt",
        Change(
            "delivery/relaying.py",
            "report.had_its_turn and not isinstance(report.outcome, Sent):",
            "report.had_its_turn:",
        ),
        red=[f"{AWAITED}test_a_receipt_that_is_faster_than_our_own_settle_is_no_double_issue"],
    ),
    mutant(
        "failed counts for the attempt under way alone",
        Change(TAKING, " and receipt.attempt == message.attempts", ""),
        red=[f"{APPLYING}test_failed_and_rejected_of_an_earlier_attempt_are_not_charged_to_the_one_under_way"],
    ),
    mutant(
        "a receipt is of the receiver that is waited for",
        Change(TAKING, "    if receipt.receiver != awaited.receiver:\n", "    if not awaited.receiver:\n"),
        red=[f"{FORGED}test_one_receiver_cannot_confirm_for_another"],
    ),
    mutant(
        "in a queue of its own a receiver speaks for itself alone",
        Change(
            TAKING, "return None if receipt.receiver == source.receipts_of else ReceiptKind.RECEIVER", "return None"
        ),
        red=[f"{FORGED}test_without_a_secret_a_receiver_has_a_queue_of_its_own_and_is_believed_there_alone"],
    ),
    mutant(
        "a signature is looked at",
        Change(TAKING, "secret and receipt.is_signed_with(secret)", "secret"),
        red=[f"{FORGED}test_a_forged_receipt_does_nothing_and_is_counted"],
    ),
    mutant(
        "the signature covers the detail",
        Change("external/receipts/receipt.py", "self.outcome, self.detail))", 'self.outcome, ""))'),
        red=[f"{FORGED}test_a_signature_covers_every_word"],
    ),
    mutant(
        "consumed makes what is exhausted a success",
        Change(
            TAKING, "message.finished_at is None or message.exhausted_at is not None", "message.finished_at is None"
        ),
        red=[f"{APPLYING}test_a_late_consumed_of_an_earlier_attempt_makes_whatever_is_unresolved_a_success"],
    ),
    mutant(
        "what was closed by hand and consumed is an alarm",
        Change(
            TAKING,
            "return ReceiptKind.SETTLED if message.resolution == Resolution.NONE",
            "return ReceiptKind.SETTLED if True",
        ),
        red=[f"{SETTLED}test_consumed_after_it_was_discarded_is_one_too"],
    ),
    mutant(
        "a doubled receipt raises no second alarm",
        Change(TAKING, "    if known.exists():\n        return False\n", ""),
        red=[f"{SETTLED}test_consumed_after_it_was_handled_by_hand_is_a_double_issue_and_is_said_once"],
    ),
    mutant(
        "an old order's receipt does not close the new one",
        Change(TAKING, " or message.drawn_key != row.key", ""),
        red=[f"{SETTLED}test_the_old_order_s_receipt_does_not_close_the_new_one"],
    ),
    mutant(
        "the next of a key waits for the receipt before it",
        Change("delivery/starting.py", " or not ordered or consumer.receipt is not None", " or not ordered"),
        red=[f"{AWAITED}test_of_one_ordering_key_the_next_is_sent_when_the_receipt_has_come"],
    ),
    mutant(
        "the receipt is published with the success",
        Change("delivery/settling.py", "    receipts.publish_receipts(", "    list("),
        red=[f"{TELLING}test_the_receipt_is_published_with_the_success"],
    ),
    mutant(
        "a redelivery of what is settled sends its receipt again",
        Change("external/ingest/taking_in.py", "        if source.receipts:\n", "        if not source:\n"),
        red=[f"{TELLING}test_a_redelivery_of_what_is_settled_sends_its_receipt_again"],
    ),
    mutant(
        "consumed is said when all consumers are done",
        Change("external/receipts/sending.py", "if all(word == CONSUMED", "if any(word == CONSUMED"),
        red=[f"{TELLING}test_with_several_consumers_it_is_consumed_when_all_are_done"],
    ),
    mutant(
        "what a person does to many at once is told",
        Change("bulk/chunks.py", "            receipts.publish_receipts_of(ids, end=receipts.BY_HAND)\n", ""),
        red=[f"{TELLING}test_what_a_person_does_to_many_at_once_is_told_of_each"],
    ),
    mutant(
        "a clock that was set back leaves the wait for a receipt alone",
        Change("maintenance/set_back.py", "entry.receipt or entry.lease)", "entry.lease)"),
        red=[f"{AWAITED}test_a_clock_that_was_set_back_does_not_cut_the_wait_for_a_receipt"],
    ),
    mutant(
        "what is passed on and consumed there is told to whoever it came from",
        Change(TAKING, "        own_receipts.publish_receipts(mine.consumed)\n", ""),
        red=[f"{TELLING}test_what_is_passed_on_and_consumed_there_is_told_to_whoever_it_came_from"],
    ),
    mutant(
        "what code withdraws is told",
        Change("published.py", "        receipts.publish_receipts_of(ids, end=receipts.BY_HAND)\n", ""),
        red=[f"{TELLING}test_what_is_withdrawn_is_told"],
    ),
    mutant(
        "what the machine gives up is told",
        Change("delivery/ends.py", "    receipts.publish_receipts_of(ids)\n", ""),
        red=[f"{TELLING}test_what_the_machine_gives_up_is_told_and_nothing_of_the_error"],
    ),
    mutant(
        "a stranger's header names no other queue",
        Change("sources.py", "named = RECEIPTS_QUEUE.fullmatch(queue) and", "named = queue and"),
        red=[f"{TELLING}test_a_stranger_s_header_names_no_other_queue_and_no_nonsense"],
    ),
    mutant(
        "a host's test sees that a forward was sent and waits",
        Change("testing/delivering.py", "if message.pk in sent and", "if False and"),
        red=[f"{IN_A_TEST}test_what_waits_for_a_receipt_is_sent_and_a_success_once_it_is_consumed"],
    ),
    mutant(
        "a host's test is sent nothing by a broker",
        Change("testing/outside.py", 'with mock.patch.object(Publisher, "publish", publish):', "if publish:"),
        red=[f"{IN_A_TEST}test_what_is_forwarded_is_confirmed_and_collected_though_its_broker_is_away"],
    ),
    mutant(
        "a host's receipt is of the attempt that was forwarded",
        Change("testing/outside.py", "of.headers[ATTEMPT_HEADER], receiver", "1, receiver"),
        red=[
            f"{IN_A_TEST}test_a_receiver_that_failed_is_sent_the_message_again_and_its_first_receipt_is_late",
        ],
    ),
    mutant(
        "a host's test can sign with another secret",
        Change("testing/outside.py", 'receiver, "") if secret is None else secret', 'receiver, "")'),
        red=[f"{IN_A_TEST}test_a_receipt_is_signed_with_the_receivers_secret_or_it_does_nothing"],
    ),
]
