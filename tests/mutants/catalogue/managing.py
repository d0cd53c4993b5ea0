"""Rules of the managers' pages: what a form refuses, and what is never done twice or without a word."""

from functools import partial

from tests.mutants.mutant import AWARDS, mutant, of_awards

rule = partial(mutant, room=AWARDS)
TABLES = "admin/test_rules_of_the_tables::"
CAMPAIGNS = "admin/test_campaigns_in_the_admin::"
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
        of_awards("services/campaigns.py", "return rights.exists() or drawn.exists()", "return drawn.exists()"),
        red=[f"{CAMPAIGNS}test_the_address_of_a_campaign_stays_once_anybody_may_know_it"],
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
