"""Rules of declaring consumers and topics."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "two functions cannot have one name, and one function not twice the same",
        Change(
            "registry.py",
            "if known is not None and not _is_made_again(known, entry):",
            "if known is not None and known.handler.__qualname__ != entry.handler.__qualname__:",
        ),
        red=[
            "test_registry::test_two_functions_of_one_name_in_a_module_are_refused_with_both_lines",
            "test_registry::test_two_decorators_on_one_function_without_names_of_their_own_are_refused",
        ],
    ),
    mutant(
        "once topics are declared, any other is refused",
        Change("drafts.py", "if declared and draft.topic not in declared:", "if declared and not draft.topic:"),
        red=[
            "test_publishing::test_once_topics_are_declared_any_other_is_refused_though_a_wildcard_matches",
        ],
    ),
]
