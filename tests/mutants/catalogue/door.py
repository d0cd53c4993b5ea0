"""Rules of the desk's door: what was typed, who is refused, who stays signed in, and where links lead."""

from tests.mutants.mutant import Change, mutant

MUTANTS = [
    mutant(
        "what was typed is shown to nobody else who signs in at the same browser",
        Change("admin/typed.py", 'if form["person"] == str(request.user.pk) and form["at"] > oldest', "if True"),
        red=["admin/test_typed::test_somebody_else_at_the_same_browser_reads_nothing_of_it"],
    ),
    mutant(
        "a form that is shown again after a login is not carried out by that",
        Change("admin/base.py", "not form.is_valid() or typed.is_taken_up(request)", "not form.is_valid()"),
        red=["admin/test_typed::test_a_session_that_ends_in_mid_form_takes_nothing_with_it"],
    ),
    mutant(
        "a retry of many that is shown again after a login is not carried out by that",
        Change("admin/typed.py", '("csrfmiddlewaretoken", SEAL, *DOES_IT)', '("csrfmiddlewaretoken", SEAL)'),
        red=["admin/test_typed::test_a_session_that_ends_in_mid_form_takes_nothing_with_it"],
    ),
    mutant(
        "nothing is kept of a form that we have not made",
        Change("admin/typed.py", 'except BadSignature:\n        return ""', 'except BadSignature:\n        return "1"'),
        red=["admin/test_typed::test_nobody_fills_the_sessions_from_outside"],
    ),
    mutant(
        "whoever is refused an act for want of a permission is in the audit",
        Change("operate/denials.py", "isinstance(refusal, PermissionMissing) or isinstance", "isinstance"),
        red=["admin/test_denials::test_each_act_of_each_group_is_done_or_refused_and_audited"],
    ),
    mutant(
        "a refused command is in the audit",
        Change("operate/denials.py", " or isinstance(action.actor, str)", ""),
        red=["operate/test_commands::test_a_refused_command_is_in_the_audit_and_its_message_as_it_was"],
    ),
    mutant(
        "nobody floods the audit with refusals",
        Change("operate/denials.py", "if _are_many(who):", "if False:"),
        red=["admin/test_denials::test_nobody_floods_the_audit"],
    ),
    mutant(
        "refusals of one person are no cover for those of another",
        Change("operate/denials.py", "action in REFUSALS and actor == who", "action in REFUSALS"),
        red=["admin/test_denials::test_what_somebody_else_is_refused_is_noted_all_the_same"],
    ),
    mutant(
        "a page that reads itself keeps nobody signed in",
        Change("admin/sessions.py", "BY_ITSELF in request.headers or ", ""),
        red=["admin/test_sessions::test_a_page_that_reads_itself_keeps_nobody_signed_in"],
    ),
    mutant(
        "a page that reads itself leaves what was typed to its person",
        Change("admin/typed.py", "BY_ITSELF in request.headers or ", ""),
        red=["admin/test_typed::test_a_page_that_reads_itself_leaves_what_was_typed_to_the_person"],
    ),
    mutant(
        "a button is pressed by no login",
        Change("admin/typed.py", ", Action.SPLIT, Action.DELETE_VIEW, REHEARSE, STOP]", ", REHEARSE]"),
        Change("admin/typed.py", '"by", "rehearsal", "member", "view", "query")', '"by")'),
        red=["admin/test_typed::test_a_button_that_was_pressed_too_late_is_not_pressed_by_the_login"],
    ),
    mutant(
        "an error page leads back to pages of ours alone",
        Change("admin/error_pages.py", "if not url_has_allowed_host_and", "if url_has_allowed_host_and"),
        red=["admin/test_error_pages::test_a_page_elsewhere_is_no_way_back"],
    ),
    mutant(
        "what a person has reopened the machine is not said to have given up",
        Change("admin/timeline.py", "{*audit.PASSIVE, audit.DENIED, Action.REVEAL, ", "{Action.REVEAL, "),
        red=[
            "admin/messages/test_timeline::test_what_a_person_reopened_the_machine_has_not_given_up",
            "admin/messages/test_timeline::test_it_has_not_either_once_somebody_was_refused_an_act_on_it",
        ],
    ),
    mutant(
        "a link to the audit asks for the audit's own permission",
        Change(
            "admin/seeing.py", "OWN_PERMISSIONS.get(meta.label_lower, f", "dict[str, str]().get(meta.label_lower, f"
        ),
        red=[
            "admin/operations/test_page::test_what_is_said_of_the_audit_leads_those_to_it_who_may_see_it",
        ],
    ),
    mutant(
        "a message leads on to what the list shows alone",
        Change("admin/messages/listing.py", "kept=tab.kept(scope)", "kept=tab.among"),
        red=["admin/messages/test_list::test_a_message_leads_on_within_the_span_that_the_queue_was_narrowed_down_to"],
    ),
]
