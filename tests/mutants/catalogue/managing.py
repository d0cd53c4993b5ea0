"""Rules of the managers' pages: what a form refuses, and what is never done twice or without a word."""

from functools import partial

from tests.mutants.mutant import AWARDS, mutant, of_awards

rule = partial(mutant, room=AWARDS)
TABLES = "admin/test_rules_of_the_tables::"

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
]
