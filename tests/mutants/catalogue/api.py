"""Rules of the API: a token gives no more than its scopes and its owner, and no call acts twice."""

from tests.mutants.mutant import Change, mutant

TOKENS = "api/test_tokens::"
OPERATIONS = "api/test_operations::"
MESSAGES = "api/test_messages::"

MUTANTS = [
    mutant(
        "a revoked token gives nothing",
        Change("operate/tokens.py", "if token.revoked_at is not None:", "if False:"),
        Change("models/api.py", "IN_TIME, revoked_at__isnull=True", "IN_TIME"),
        red=[f"{TOKENS}test_a_token_that_is_over_gives_nothing_and_the_audit_has_who_tried"],
    ),
    mutant(
        "a token that is over gives nothing",
        Change("models/api.py", "Q(expires_at__gt=Now())", "Q(expires_at__isnull=False)"),
        red=[f"{TOKENS}test_a_token_that_is_over_gives_nothing_and_the_audit_has_who_tried"],
    ),
    mutant(
        "who is inactive takes the token along",
        Change("operate/tokens.py", "if user is None or not user.is_active:", "if user is None:"),
        red=[f"{TOKENS}test_who_is_no_longer_active_takes_the_token_along"],
    ),
    mutant(
        "a scope gives no more than it says",
        Change("operate/tokens.py", "return any(perm in PERMISSIONS_OF[scope] for scope in known)", "return True"),
        red=[f"{TOKENS}test_a_scope_gives_no_more_than_it_says"],
    ),
    mutant(
        "the owner's permission is asked for at each call",
        Change("api/door.py", "if not holder.user.has_perm(permission):", "if False:"),
        Change(
            "operate/tokens.py", "return self.covers(perm) and self.user.has_perm(perm)", "return self.covers(perm)"
        ),
        red=[f"{TOKENS}test_a_scope_gives_no_more_than_its_owner_may_do_now"],
    ),
    mutant(
        "a refusal is noted once in a while",
        Change("operate/denials.py", ".filter(at__gt=Now() - once_in)", ".filter(at__lt=Now() - once_in)"),
        red=[f"{TOKENS}test_what_is_refused_again_and_again_is_noted_once_in_a_while"],
    ),
    mutant(
        "refusals at the desk and by the API count together",
        Change("operate/denials.py", "REFUSALS = (audit.DENIED, API_REFUSED)", "REFUSALS = (audit.DENIED,)"),
        red=[f"{TOKENS}test_refusals_of_one_person_are_bounded_wherever_they_are_met"],
    ),
    mutant(
        "nobody makes a token for another",
        Change("operate/tokens.py", 'getattr(actor, "pk", None) != owner.pk', "False"),
        red=["operate/test_tokens::test_whoever_may_not_makes_none_and_nobody_makes_one_for_another"],
    ),
    mutant(
        "a call above the rate is refused",
        Change("models/api.py", "self.filter(free, pk=token.pk)", "self.filter(pk=token.pk)"),
        red=["api/test_rate::test_above_its_rate_a_token_is_told_how_long_to_wait"],
    ),
    mutant(
        "a call that is repeated acts once",
        Change(
            "api/once.py", "            return _known(token, key, digest), True\n", "            return act(), False\n"
        ),
        red=[f"{OPERATIONS}test_a_preview_that_is_repeated_makes_one_operation"],
    ),
    mutant(
        "another call under the same key is refused",
        Change("api/once.py", "if known.call != digest:", "if False:"),
        red=[f"{OPERATIONS}test_another_call_under_the_same_key_is_refused"],
    ),
    mutant(
        "running operations takes the scope of what is done to each message",
        Change("api/operations.py", "    require(holder_of(request), PERMISSIONS[Action(verb)])\n", ""),
        Change("api/operations.py", "    require(holder_of(request), PERMISSIONS[Action(operation.verb)])\n", ""),
        Change("operate/tokens.py", "return self.covers(perm) and self.user.has_perm(perm)", "return True"),
        red=[f"{OPERATIONS}test_running_operations_takes_the_scope_of_what_is_done_to_each_message"],
    ),
    mutant(
        "a person stays one person, by token or at the desk",
        Change("operate/tokens.py", "return self.user.get_username()", "return f'{self.user.get_username()} (token)'"),
        red=[f"{OPERATIONS}test_what_takes_a_second_person_waits_and_no_token_can_approve_it"],
    ),
    mutant(
        "the API asks about the other side",
        Change("api/messages.py", '"asked_other_side": body.asked_other_side', '"asked_other_side": True'),
        red=[f"{MESSAGES}test_where_the_other_side_may_have_acted_it_must_have_been_asked"],
    ),
    mutant(
        "a cursor of nothing is not the beginning",
        Change("api/messages.py", "if narrowed.after and not listing.is_cursor(tab, narrowed.after):", "if False:"),
        red=[f"{MESSAGES}test_a_cursor_of_another_list_is_told_and_not_taken_for_the_beginning"],
    ),
]
