"""Rules of the audit: what is gone must have been noted."""

from tests.mutants.mutant import Change, mutant

ERASURE = "operate/test_erasure::"

MUTANTS = [
    mutant(
        "texts that are gone without a note break the chain",
        Change("audit.py", "            empty[entry.pk] = entry\n", "            pass\n"),
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
