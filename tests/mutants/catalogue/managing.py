"""Rules of the managers' pages: what a form refuses, and what is never done twice or without a word."""

from functools import partial

from tests.mutants.mutant import AWARDS, mutant, of_awards

rule = partial(mutant, room=AWARDS)
TABLES = "admin/test_rules_of_the_tables::"
FORMS = "admin/test_campaign_forms::"
ACTS = "admin/test_acts_on_a_prize::"
WHO = "admin/test_who_may_draw::"

MUTANTS = [
    rule(
        "a form holds every rule of the table against the whole row",
        of_awards(
            "admin/whole_rows.py", "wrong, row = set(self.errors)", "wrong, row = self._get_validation_exclusions()"
        ),
        red=[f"{TABLES}test_what_a_table_refuses_is_said_at_the_field_that_was_changed"],
    ),
    rule(
        "what is written between the look at the table and the writing is said by a second look",
        of_awards("admin/whole_rows.py", "except IntegrityError:", "except ZeroDivisionError:"),
        red=[f"{TABLES}test_what_somebody_writes_between_the_look_and_the_writing_is_said_by_a_second_look"],
    ),
    rule(
        "what is given when nothing else is left gets no limit",
        of_awards("models/prize.py", "stock__isnull=True, is_fallback=False)", "stock__isnull=True)"),
        red=[f"{TABLES}test_a_limit_is_not_set_on_what_is_given_when_nothing_else_is_left"],
    ),
    rule(
        "the address of a campaign stays once somebody has a right to draw in it",
        of_awards("services/campaigns.py", "return self.has_draws or self.has_rights", "return self.has_draws"),
        red=[f"{FORMS}test_the_address_of_a_campaign_stays_once_anybody_may_know_it"],
    ),
    rule(
        "the same change of a stock by the same person a moment later is taken for one that was sent twice",
        of_awards("services/campaigns.py", "        raise StockChangedAlready(earlier.at)", "        pass"),
        red=[f"{ACTS}test_a_form_that_was_gone_back_to_and_sent_once_more_changes_the_stock_once"],
    ),
    rule(
        "a change of a stock for another prize, or by another person, is one of its own",
        of_awards("services/campaigns.py", "**asked, prize=prize, actor=actor, at", "**asked, at"),
        red=[f"{ACTS}test_the_same_change_is_made_by_another_person_for_another_prize_and_later"],
    ),
    rule(
        "what waits to be counted is among what was won",
        of_awards(
            "selectors/campaign_report.py", "(prize.won or 0) + owed.get(prize.pk, NOTHING).uncounted", "prize.won or 0"
        ),
        red=["admin/test_campaign_report::test_what_waits_to_be_counted_is_won_all_the_same_and_told_apart"],
    ),
    rule(
        "what must be claimed is won once, however far it has come",
        of_awards("selectors/campaign_report.py", "[COUNTED_BY], claim_until__isnull=True)", "[COUNTED_BY])"),
        red=["admin/test_campaign_report::test_what_must_be_claimed_is_won_once_however_far_it_has_come"],
    ),
    rule(
        "a link is said to be valid no longer than its campaign",
        of_awards("clients/links.py", "USUAL_VALIDITY, campaign.ends_at, entitlement", "USUAL_VALIDITY, entitlement"),
        red=[f"{WHO}test_a_link_is_said_to_be_valid_no_longer_than_its_right_and_its_campaign"],
    ),
    rule(
        "a right whose time is over is not given",
        of_awards("admin/moments.py", "if moment <= timezone.now():", "if False:"),
        red=[f"{WHO}test_a_right_by_which_nobody_could_ever_draw_is_not_given"],
    ),
    rule(
        "a right that ends before its campaign begins is not given",
        of_awards("admin/person_lists.py", "expires_at <= campaign.starts_at:", "False:"),
        red=[f"{WHO}test_a_right_by_which_nobody_could_ever_draw_is_not_given"],
    ),
]
