"""Rules of publishing."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "publishers of one ordering key go one after the other",
        Change("publishing.py", "if any(message.draft.ordering_key for message in messages):", "if not messages:"),
        red=["test_publishing_races::test_publishers_of_one_ordering_key_commit_one_after_the_other"],
    ),
    mutant(
        "many of one ordering key keep their order",
        Change(
            "publishing.py",
            "return ordering_key, () if ordering_key else message.identity",
            'return "", message.identity',
        ),
        red=["test_publishing::test_many_of_one_ordering_key_keep_the_order_in_which_they_were_given"],
    ),
    mutant(
        "one INSERT per call",
        Change("publishing.py", "if limit else len(messages))):", "if limit else 1)):"),
        red=["test_publishing::test_one_insert_whatever_the_number_of_consumers"],
    ),
    mutant(
        "rows are written sorted by key",
        Change(
            "publishing.py",
            "messages = sorted((message for draft in drafts for message in prepare(draft)), key=_write_order)",
            "messages = [message for draft in drafts for message in prepare(draft)]",
        ),
        red=[
            "test_publishing::test_many_are_written_in_one_statement_sorted_by_key",
            "test_publishing_races::test_two_publishers_with_the_same_keys_in_opposite_orders_do_not_deadlock",
        ],
    ),
    mutant(
        "a key published again with another payload is refused",
        Change(
            "publishing.py",
            "            if len(new) < len(batch):\n                known",
            "            if len(new) > len(batch):\n                known",
        ),
        red=[
            "test_publishing::test_the_same_topic_and_key_with_another_payload_is_refused_and_the_transaction_goes_on",
            "test_publishing::test_the_same_key_twice_in_one_call_with_two_payloads_is_refused",
        ],
    ),
    mutant(
        "nothing of a call is written if a key of it is reused",
        Change("publishing.py", "_take_back([id for id, _consumer, _delayed in written])", "_take_back([])"),
        red=["test_publishing::test_nothing_of_many_is_written_if_a_key_of_them_is_reused"],
    ),
    mutant(
        "equal payloads have one digest whatever the order of their keys",
        Change("payloads.py", ", sort_keys=True)", ")"),
        red=["test_publishing::test_the_same_topic_and_key_again_is_a_no_op"],
    ),
    mutant(
        "NUL is refused before anything is written",
        Change("payloads.py", '    if "\\0" in text:\n', '    if "\\0\\0" in text:\n'),
        red=[
            "test_payloads::test_what_is_accepted_comes_back_equal_and_what_is_not_has_written_nothing",
            "test_payloads::test_what_cannot_be_kept_is_refused_and_the_business_transaction_goes_on",
        ],
    ),
    mutant(
        "the transaction of a TestCase is not the caller's",
        Change("publishing.py", 'getattr(block, "_from_testcase", False)', "block is None"),
        red=["test_testing::test_the_test_s_own_transaction_is_not_the_caller_s"],
    ),
]
