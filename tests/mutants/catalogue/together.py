"""Rules of what people do beside each other: notes, saved views, merged groups, and what was said with a vendor."""

from tests.mutants.mutant import Change, mutant

EXCHANGES, SAID = "delivery/test_exchanges::test_", "admin/messages/test_said::test_"
MERGING, VIEWS = "operate/test_merging::test_", "operate/test_saved_views::test_"

MUTANTS = [
    mutant(
        "what is said after the message was settled is kept",
        Change("delivery/non_atomic.py", "    if ended.talked_on:\n", "    if ended.twice:\n"),
        red=[f"{EXCHANGES}what_was_said_after_the_message_was_settled_is_kept_as_well"],
    ),
    mutant(
        "what was said is kept when the handler ends its process",
        Change("delivery/execution.py", "        Exchange.objects.keep(messages)\n", "        pass\n"),
        red=[f"{EXCHANGES}what_was_said_before_the_handler_ended_its_process_is_kept"],
    ),
    mutant(
        "what was said is kept with a result that came too late",
        Change(
            "delivery/settling.py",
            "        Exchange.objects.keep([report.message])\n        doubled",
            "        doubled",
        ),
        red=[f"{EXCHANGES}a_result_that_came_too_late_is_kept_with_what_was_said"],
    ),
    mutant(
        "what was said before settling commits with the success",
        Change("delivery/non_atomic.py", "            Exchange.objects.keep([message])\n", ""),
        red=[f"{EXCHANGES}what_was_said_before_settling_commits_with_the_success_or_stays_with_the_failure"],
    ),
    mutant(
        "what was said is kept in the transaction of the success alone",
        Change(
            "delivery/non_atomic.py",
            "            refuse_silent_rollback(connection)\n",
            "            Exchange.objects.keep([message])\n            refuse_silent_rollback(connection)\n",
        ),
        red=[f"{EXCHANGES}what_spoils_the_transaction_of_settling_is_named_and_what_was_said_is_kept"],
    ),
    mutant(
        "what was said before the process was ended is kept",
        Change("delivery/hard_end.py", "list(recorded[row.pk] or ())", "[]"),
        red=[f"{EXCHANGES}what_was_said_is_kept_when_the_process_is_ended"],
    ),
    mutant(
        "what was said in calls beside each other is kept with their successes",
        Change("delivery/wide/settlements.py", "        Exchange.objects.keep(", "        len("),
        red=[f"{EXCHANGES}calls_beside_each_other_keep_each_its_own"],
    ),
    mutant(
        "what was said is masked as the payload is",
        Change("admin/messages/masking.py", "as_json(value if revealed else mask_payload(value))", "as_json(value)"),
        red=[f"{SAID}what_was_said_stands_with_its_attempt_and_says_nothing_of_anybody"],
    ),
    mutant(
        "what was said is erased with the message",
        Change(
            "operate/erasure.py",
            '        Exchange.objects.filter(message_id__in=message_ids).update(request="", answer="")\n',
            "",
        ),
        red=[f"{SAID}erasing_a_message_erases_what_was_said"],
    ),
    mutant(
        "what somebody wrote on a message is not overwritten by who has not seen it",
        Change("operate/notes.py", "filter(pk=note.pk, revision=revision)", "filter(pk=note.pk)"),
        red=["operate/test_notes::test_the_second_who_writes_is_told_of_the_first"],
    ),
    mutant(
        "the queue of one's own holds no others",
        Change("admin/messages/tabs.py", "if scope.owner else streams", "if False else streams"),
        red=["admin/messages/test_noting::test_the_queue_of_ones_own_holds_no_others_in_any_tab"],
    ),
    mutant(
        "nobody changes what another keeps, and few what another shares",
        Change("operate/saved_views.py", "return view.is_shared and actor.has_perm(TEND)", "return True"),
        red=[f"{VIEWS}what_another_shares_takes_the_permission_and_what_he_keeps_is_not_there"],
    ),
    mutant(
        "two who merge groups at once make no circle",
        Change("operate/failures.py", ".select_for_update(no_key=True).order_by", ".order_by"),
        red=[f"{MERGING}two_who_merge_two_groups_into_each_other_at_once_make_no_circle"],
    ),
    mutant(
        "nothing is merged into what is merged",
        Change("operate/failures.py", "if now[target.pk].merged_into_id is not None:", "if False:"),
        red=[f"{MERGING}there_are_no_chains_no_circles_and_no_strangers"],
    ),
    mutant(
        "what comes back of a merged kind opens the group that stands for it",
        Change(
            "failures/counting.py", "filter(pk=failure.digest).standing_for()", "filter(pk=failure.digest).values('pk')"
        ),
        red=["failures/test_counting::test_what_comes_back_of_a_merged_kind_opens_the_group_that_stands_for_it"],
    ),
    mutant(
        "what is retried for a group is retried for what is merged into it",
        Change("bulk/selection.py", "failure__in=list(fingerprints)", "failure=group.pk"),
        red=[f"{MERGING}merged_groups_are_counted_and_read_as_one_everywhere"],
    ),
]
