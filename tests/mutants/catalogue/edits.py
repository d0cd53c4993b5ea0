"""Rules of editing: what nobody may change stays, what was there before is kept, and no old order answers."""

from tests.mutants.mutant import Change, mutant

ONE, MANY, PAGE = "operate/test_edits::test_", "bulk/test_editing::test_", "admin/messages/test_editing::test_"
FORM = "admin/messages/test_edit_forms::test_"
ASKING = "operate/test_asking::test_"

MUTANTS = [
    mutant(
        "edit: what a consumer has locked stays as it is",
        Change("operate/edits.py", "changed_among(consumer.locked, before, after)", "changed_among((), before, after)"),
        red=[f"{ONE}what_is_locked_stays_as_it_is"],
    ),
    mutant(
        "edit: 17 and 17.0 are two values",
        Change(
            "operate/differences.py",
            "return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)",
            "return bool(one == other)",
        ),
        red=[f"{ONE}what_is_locked_stays_as_it_is"],
    ),
    mutant(
        "edit: where the other side may have acted the old key is not used again",
        Change("operate/edits.py", "    if may_have_acted(message):", "    if as_new_order is None:"),
        red=[f"{ONE}where_the_other_side_may_have_acted_only_a_new_order_is_edited"],
    ),
    mutant(
        "edit: a new order has a new key",
        Change("operate/edits.py", 'changes["drawn_key"] = uuid4()', 'changes["drawn_key"] = message.drawn_key'),
        red=[f"{ONE}where_the_other_side_may_have_acted_only_a_new_order_is_edited"],
    ),
    mutant(
        "edit: an attempt that was rejected may have acted, too",
        Change(
            "models/attempt.py",
            "SAYS_ITSELF = (AttemptOutcome.FAILED, AttemptOutcome.REJECTED, AttemptOutcome.UNAVAILABLE)",
            "SAYS_ITSELF = (AttemptOutcome.FAILED,)",
        ),
        red=[
            f"{ONE}where_the_other_side_may_have_acted_only_a_new_order_is_edited",
            f"{MANY}where_the_other_side_may_have_acted_it_is_left_out_and_cannot_be_taken_in",
        ],
    ),
    mutant(
        "edit: evidence of an issue is asked about",
        Change("operate/edits.py", "    if not despite_evidence:\n        refuse_second_issue(message.pk)\n", ""),
        red=[f"{ONE}what_was_issued_by_hand_takes_a_confirmation_and_is_watched"],
    ),
    mutant(
        "edit: the payload before it is kept",
        Change("operate/edits.py", "        payload=_json(message.payload),\n", "        payload=_json(None),\n"),
        red=[f"{ONE}the_message_waits_with_the_new_payload_under_the_same_key_and_the_old_one_is_kept"],
    ),
    mutant(
        "edit: earlier payloads are erased, too",
        Change(
            "operate/erasure.py",
            "        PayloadVersion.objects.filter(message_id__in=message_ids).update(payload=payload)\n",
            "",
        ),
        red=[f"{ONE}earlier_payloads_are_erased_with_the_message"],
    ),
    mutant(
        "edit: only what was seen is done",
        Change(
            "admin/messages/admin.py",
            'request.POST.get("seen") == editor.digest',
            'request.POST.get("seen")',
        ),
        red=[f"{PAGE}what_was_not_seen_is_not_done"],
    ),
    mutant(
        "edit: nobody sees a payload on the page who may not reveal it",
        Change(
            "admin/messages/editing.py",
            "return lacks_permission(Action.EDIT, user) or lacks_permission(Action.REVEAL, user)",
            "return lacks_permission(Action.EDIT, user)",
        ),
        red=[f"{PAGE}without_the_permissions_there_is_no_page_and_the_message_says_why"],
    ),
    mutant(
        "edit: earlier payloads are masked",
        Change("admin/messages/detail.py", "else mask_payload(version.payload)", "else version.payload"),
        red=[f"{PAGE}the_message_shows_what_it_had_before_masked_until_it_is_revealed"],
    ),
    mutant(
        "edit: the payloads of a set are kept",
        Change("bulk/editing.py", "    keep_payloads(list(made), edited_by=operation.started_by)\n", ""),
        red=[f"{MANY}every_payload_is_patched_kept_and_tried_again"],
    ),
    mutant(
        "edit: a patch does not touch what is locked",
        Change("bulk/editing.py", "touch(patch.paths, consumer.locked)", "touch((), ())"),
        red=[f"{MANY}a_key_that_a_consumer_has_locked_is_refused_before_anything_is_frozen"],
    ),
    mutant(
        "edit: a set takes in no suspects",
        Change(
            "bulk/operations.py",
            "if operation.verb == BulkVerb.EDIT and include_suspects:",
            "if operation.verb == BulkVerb.REOPEN and include_suspects:",
        ),
        red=[f"{MANY}where_the_other_side_may_have_acted_it_is_left_out_and_cannot_be_taken_in"],
    ),
    mutant(
        "ask: what is neither a text nor None is no answer",
        Change("operate/asking.py", "if isinstance(found, str) and found.strip():", "if found is not None:"),
        red=[f"{ASKING}what_is_neither_a_text_nor_none_is_no_answer"],
    ),
    mutant(
        "ask: nobody waits for a question without an end",
        Change("operate/asking.py", "max(until - monotonic(), 0)", "60"),
        red=[f"{ASKING}a_question_without_an_end_keeps_nobody_waiting"],
    ),
    mutant(
        "ask: a question's sessions are closed",
        Change("operate/asking.py", "        finally:\n            connections.close_all()\n", ""),
        red=[f"{ASKING}what_a_question_does_to_its_session_is_gone_before_the_next"],
    ),
    mutant(
        "ask: an edit goes on only where the other side knows nothing",
        Change(
            "operate/edits.py", "if answer.known is Known.NOT_ASKED and not as_new_order:", "if answer.known is None:"
        ),
        red=[f"{ASKING}an_edit_is_refused_where_it_has_acted_or_cannot_be_asked"],
    ),
    mutant(
        "edit: what is worth much takes a second person",
        Change("operate/approval.py", "amount > limits[currency]", "amount > limits[currency] * 2"),
        red=[
            "bulk/test_approval::test_one_that_is_worth_more_is_not_edited_by_one_person",
            "bulk/test_approval::test_what_is_worth_more_than_the_settings_permit_waits_for_a_second_person",
        ],
    ),
    mutant(
        "export: no cell is a formula",
        Change("admin/sheets.py", "if text.startswith(FORMULA)", "if text.startswith('~')"),
        red=["admin/messages/test_exporting::test_nothing_that_begins_like_a_formula_is_one"],
    ),
    mutant(
        "no page of the desk is turned around",
        Change("admin/base.py", "_within_the_desk(show_all(pattern))", "_within_the_desk(pattern)"),
        red=["admin/test_visible::test_no_page_shows_it"],
    ),
    mutant(
        "edit: a call that was given up is over first",
        Change(
            "operate/edits.py",
            "if Message.objects.filter(may_still_run(conf().lease), pk=message.pk).exists():",
            "if actor is None:",
        ),
        Change("operate/edits.py", "only=EXHAUSTED & ~may_still_run(conf().lease),", "only=EXHAUSTED,"),
        red=[f"{ONE}while_a_call_that_was_given_up_may_still_run_it_is_not_edited"],
    ),
    mutant(
        "edit: a new order is not sent where the other side has the old one",
        Change(
            "operate/edits.py", "if answer.known is Known.YES:", "if answer.known is Known.YES and not as_new_order:"
        ),
        red=[f"{ASKING}not_even_a_new_order_is_sent_where_it_has_the_old_one"],
    ),
    mutant(
        "edit: what nobody touched in a form keeps its value",
        Change(
            "admin/messages/editing.py",
            "(name in payload and _is_as_shown(form[name], before, entered))",
            "entered is NotImplemented",
        ),
        red=[f"{FORM}what_nobody_touched_keeps_its_very_value"],
    ),
]
