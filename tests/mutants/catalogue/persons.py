"""Rules of persons: who is forgotten, whose draw is drawn once more, and what is told of whom."""

from functools import partial

from tests.mutants.mutant import AWARDS, mutant, of_awards

rule = partial(mutant, room=AWARDS)
EXPIRY = "claims/test_expiry::"
EXPIRY_BY_HAND = "claims/test_expiry_by_hand::"
FORGOTTEN = "claims/test_erasure_races::"

MUTANTS = [
    rule(
        "who wins at the same moment is not forgotten",
        of_awards("claims/erasure.py", "        _hold(person)\n", ""),
        red=[
            f"{FORGOTTEN}test_who_wins_at_the_same_moment_is_not_forgotten_at_her_first_draw_or_a_later_one",
            f"{FORGOTTEN}test_whose_award_is_opened_again_at_the_same_moment_is_not_forgotten",
        ],
    ),
    rule(
        "a list that waits to be written names nobody who was forgotten",
        of_awards("clients/imports.py", 'ImportPart.objects.select_for_update(of=("self",))', "ImportPart.objects"),
        red=[f"{FORGOTTEN}test_who_is_forgotten_while_a_list_is_read_is_not_written_by_it"],
    ),
    rule(
        "a redraw waits for the person whose draw it has chosen",
        of_awards("claims/expiry.py", "_hold(lost)  #", "pass  #"),
        red=[f"{FORGOTTEN}test_a_redraw_at_the_same_moment_does_not_give_the_prize_to_who_is_forgotten"],
    ),
    rule(
        "who was forgotten is not drawn for an expired prize",
        of_awards("claims/expiry.py", "Draw.objects.not_erased()", "Draw.objects"),
        red=[f"{EXPIRY}test_who_was_forgotten_is_not_drawn"],
    ),
    rule(
        "a gift is not sent to who was forgotten",
        of_awards(
            "channels/gift.py",
            "if award.draw.is_erased or (claim is None and award.claimed_at is not None):",
            "if False:",
        ),
        red=["claims/test_erasure::test_a_gift_that_is_opened_again_is_not_sent_to_who_was_forgotten"],
    ),
    rule(
        "no request from outside has the id of a redraw",
        of_awards("services/draws.py", "if request_id.startswith(REDRAWN):", "if False:"),
        red=["test_who_draws::test_a_request_id_that_cannot_be_kept_is_refused"],
    ),
    rule(
        "a redraw that is replayed gives nothing",
        of_awards("consumers.py", "    if message.replay:\n", "    if False:\n"),
        red=[f"{EXPIRY_BY_HAND}test_a_redraw_that_is_over_gives_nothing_and_puts_nothing_back_when_it_is_replayed"],
    ),
    rule(
        "a redraw that is replayed puts nothing back",
        of_awards("consumers.py", " and not closing.message.replay:", ":"),
        red=[f"{EXPIRY_BY_HAND}test_a_redraw_that_is_over_gives_nothing_and_puts_nothing_back_when_it_is_replayed"],
    ),
    rule(
        "redraws at once do not pass the wins of a person",
        of_awards("claims/expiry.py", ".exists() and _may_win(lost.person, award.prize):", ".exists():"),
        red=["claims/test_races::test_of_two_redraws_of_one_prize_at_once_a_person_wins_no_more_than_each_may"],
    ),
]
