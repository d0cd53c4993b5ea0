"""Rules of the audit: what is gone must have been noted."""

from tests.mutants.mutant import Change, mutant

ERASURE = "operate/test_erasure::"

CHECK = "maintenance/test_chain::"

MUTANTS = [
    mutant(
        "the last entry that was checked must still be there",
        Change("maintenance/chain.py", "if walked.at_end and not _is_still_there(check):", "if False:"),
        red=[f"{CHECK}test_whoever_tampers_with_what_was_checked_is_found_by_the_next_full_check"],
    ),
    mutant(
        "a check goes on behind the entry that it has seen, as it was",
        Change("audit.py", "return digest if digest == checked.last_digest else None", "return digest"),
        red=[f"{CHECK}test_whoever_has_the_last_checked_entry_sealed_anew_is_found_within_a_day"],
    ),
    mutant(
        "all of the chain is checked once a week",
        Change("maintenance/chain.py", "not full <= now < full + FULL_EVERY", "not full <= now"),
        red=[f"{CHECK}test_a_day_later_only_what_is_new_is_checked_and_a_week_later_all_of_it"],
    ),
    mutant(
        "nothing of the audit is pruned while its chain is broken",
        Change("maintenance/pruning.py", "or read_check().broken:", "or False:"),
        red=[f"{CHECK}test_nothing_is_pruned_while_the_chain_is_broken"],
    ),
    mutant(
        "the audit's days end with the last one's end",
        Change("admin/audit/filters.py", "_midnight(until + timedelta(days=1))", "_midnight(until)"),
        red=["admin/audit/test_pages::test_days_are_looked_at_from_the_first_to_the_end_of_the_last"],
    ),
    mutant(
        "texts that are gone without a note break the chain",
        Change("audit.py", "min((erased[id] for id in unnoted), default=len(page))", "len(page)"),
        red=[f"{ERASURE}test_texts_that_are_gone_without_a_note_break_the_chain"],
    ),
    mutant(
        "what waits keeps its payload",
        Change("operate/erasure.py", "if refusal := why_not(Action.ERASE, message):", "if refusal := '':"),
        red=[f"{ERASURE}test_what_is_not_settled_needs_its_payload"],
    ),
    mutant(
        "the audit's texts are erased with the message's",
        Change("audit.py", '.update(salt="", before={}, after={}, reason="")', ".update()"),
        red=[f"{ERASURE}test_a_person_is_erased_and_the_chain_is_whole"],
    ),
]
