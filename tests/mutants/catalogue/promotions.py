"""Rules of the awards: who may draw and how often, what is won, claimed, spent and taken back, and who is told."""

from functools import partial

from tests.mutants.mutant import AWARDS, mutant, of_awards

rule = partial(mutant, room=AWARDS)
DRAWS = "test_draw::"
RULES = "test_draw_rules::"
ENTITLEMENTS = "clients/test_entitlements::"
LINKS = "clients/test_links::"
KEYS = "clients/test_keys::"
CLAIMING = "claims/test_claiming::"
EXPIRY = "claims/test_expiry::"
POINTS_BACK = "test_taking_points_back::"
BY_HAND = "test_closed_by_hand::"
WEBHOOKS = "clients/test_webhooks::"
SIGNATURES = "clients/test_webhook_signatures::"
SILENT = "clients/test_silent_webhooks::"
QUEUED = "sale/test_queued_draws::"

MUTANTS = [
    rule(
        "nobody draws more often than the campaign allows",
        of_awards("models/draw.py", "mine = mine.filter(draws__lt=campaign.draws_per_person)", "mine = mine.all()"),
        red=[f"{DRAWS}test_nobody_draws_more_often_than_the_campaign_allows"],
    ),
    rule(
        "nobody draws more often a day than the campaign allows",
        of_awards(
            "models/draw.py",
            "Q(draws_today__lt=campaign.draws_per_day)",
            "Q(draws_today__gte=0)",
        ),
        red=[f"{ENTITLEMENTS}TestOne::test_the_limit_of_a_day_holds_and_the_next_day_brings_more"],
    ),
    rule(
        "who comes late from yesterday does not begin the counts of today anew",
        of_awards("models/days.py", 'Q(**{f"{day}__lt": today})', "~Q(**{day: today})"),
        of_awards("models/days.py", 'begun = {f"{day}__gte": today}', "begun = {day: today}"),
        of_awards("models/days.py", "day is None or day < today", "day != today"),
        red=[
            "test_midnight::test_a_draw_of_yesterday_counts_against_a_person_s_draws_of_today",
            "test_midnight::test_a_win_of_yesterday_counts_against_a_prize_s_wins_of_today",
        ],
    ),
    rule(
        "the same request is answered by the same draw",
        of_awards(
            "services/draws.py", "    if earlier := earlier_draw(campaign, asked):\n        return earlier\n", ""
        ),
        of_awards("services/draws.py", "earlier = earlier_draw(campaign, asked)\n", "earlier = None\n"),
        red=[f"{DRAWS}test_the_same_request_gets_the_same_answer_even_when_the_campaign_is_over"],
    ),
    rule(
        "a request's id belongs to what it was asked with",
        of_awards("services/draws.py", "if earlier.digest != asked.digest:", "if False:"),
        red=[f"{DRAWS}test_the_same_request_with_other_data_is_refused_and_changes_nothing"],
    ),
    rule(
        "an entitlement is used once",
        of_awards("models/entitlement.py", "in_time, used_at__isnull=True, withdrawn", "in_time, withdrawn"),
        red=[f"{ENTITLEMENTS}test_fifty_parallel_draws_on_one_entitlement_are_one_draw"],
    ),
    rule(
        "an entitlement is valid until its time",
        of_awards("models/entitlement.py", "| Q(expires_at__gt=Now())", "| Q(expires_at__isnull=False)"),
        red=[f"{ENTITLEMENTS}TestOne::test_one_that_is_over_another_person_s_and_another_campaign_s_are_refused"],
    ),
    rule(
        "an entitlement that was taken back is no way in",
        of_awards(
            "models/entitlement.py",
            "used_at__isnull=True, withdrawn_at__isnull=True)\n\n    def next_of",
            "used_at__isnull=True)\n\n    def next_of",
        ),
        of_awards("services/draws.py", "if entitlement.withdrawn_at is not None:", "if False:"),
        red=[f"{LINKS}test_a_taken_back_entitlement_is_no_way_in"],
    ),
    rule(
        "a person uses no entitlement of another",
        of_awards(
            "services/draws.py",
            "(entitlement.campaign_id, entitlement.person) != (campaign.pk, asked.person)",
            "entitlement.campaign_id != campaign.pk",
        ),
        red=[f"{ENTITLEMENTS}TestOne::test_one_that_is_over_another_person_s_and_another_campaign_s_are_refused"],
    ),
    rule(
        "a link is over when its time is",
        of_awards("clients/links.py", "if until <= found.clock.timestamp():", "if False:"),
        red=[f"{LINKS}test_a_link_that_is_over_or_was_changed_is_refused"],
    ),
    rule(
        "a link that was changed is none",
        of_awards(
            "clients/links.py",
            "content = signing.Signer(salt=SALT).unsign(token[:LONGEST_TOKEN])",
            'content = token[:LONGEST_TOKEN].rpartition(":")[0]',
        ),
        red=[f"{LINKS}test_a_link_that_is_over_or_was_changed_is_refused"],
    ),
    rule(
        "a link is for its own campaign",
        of_awards("clients/links.py", "if found.campaign_id != campaign.pk:", "if False:"),
        red=[f"{LINKS}test_the_link_of_another_campaign_is_refused"],
    ),
    rule(
        "a revoked key draws nothing",
        of_awards("clients/keys.py", "if client.revoked_at is not None:", "if False:"),
        of_awards("models/client.py", "return self.filter(revoked_at__isnull=True)", "return self.all()"),
        red=[f"{KEYS}test_a_revoked_key_is_refused_on_an_open_campaign_as_well"],
    ),
    rule(
        "a key is for what its scopes say",
        of_awards("models/client.py", "return scope.value in self.scopes", "return True"),
        red=[
            f"{KEYS}test_a_client_that_may_give_entitlements_alone_does_not_draw",
            "test_api_reads::test_a_key_for_reading_alone_does_nothing_else",
        ],
    ),
    rule(
        "a stock is never below nothing",
        of_awards("models/prize.py", "row = row.filter(stock__gt=0)", "row = row.all()"),
        red=[f"{DRAWS}test_a_prize_that_others_took_between_reading_and_taking_is_drawn_again"],
    ),
    rule(
        "a prize is won so often a day",
        of_awards("rules.py", "moment.won_today < prize.wins_per_day", "moment.won_today >= 0"),
        of_awards("models/prize.py", '| Q(wins_that_day__lt=F("wins_per_day"))', "| Q(wins_that_day__gte=0)"),
        red=[f"{RULES}TestWhenAndHowOften::test_a_prize_is_won_so_often_a_day_and_on_the_next_day_again"],
    ),
    rule(
        "a budget is not overdrawn",
        of_awards("rules.py", "prize.value <= moment.left", "moment.left >= 0"),
        of_awards("models/campaign.py", "        if not always:\n", "        if False:\n"),
        red=[f"{RULES}TestBudget::test_what_a_budget_has_not_left_is_not_won"],
    ),
    rule(
        "a budget holds against many draws at once",
        of_awards("models/campaign.py", "        if not always:\n", "        if False:\n"),
        red=[f"{RULES}test_budgets_and_limits_of_a_day_hold_against_many_draws_at_once"],
    ),
    rule(
        "what is revoked or expires is not spent",
        of_awards(
            "services/taking.py", "        Campaign.objects.give_back(", "        Campaign.objects.none().give_back("
        ),
        red=[f"{RULES}TestBudget::test_what_is_revoked_or_expires_is_not_spent"],
    ),
    rule(
        "what an operator cancels is not spent",
        of_awards("services/closings.py", "            give_budget_back(move.award)\n", "            pass\n"),
        red=["test_budget_by_hand::test_what_is_not_given_out_is_not_spent_and_reopened_it_is_again"],
    ),
    rule(
        "an award is claimed in its time",
        of_awards("models/award.py", "self._unclaimed().filter(claim_until__gt=Now())", "self._unclaimed()"),
        red=[f"{CLAIMING}test_after_its_time_it_is_neither_claimed_nor_said_to_be_expired_before_it_is"],
    ),
    rule(
        "what is claimed does not expire",
        of_awards(
            "models/award.py",
            "return self.filter(status=AwardStatus.WON, claimed_at__isnull=True)",
            "return self.filter(status=AwardStatus.WON)",
        ),
        of_awards("claims/expiry.py", "award is None or not award.is_unclaimed or", "award is None or"),
        red=[f"{EXPIRY}test_one_that_was_claimed_does_not_expire_though_its_time_is_over"],
    ),
    rule(
        "an award expires at its own date",
        of_awards("models/award.py", "self._unclaimed().filter(claim_until__lte=Now())", "self._unclaimed()"),
        of_awards(
            "claims/expiry.py", "> timedelta(0):\n        return rest", "> timedelta(days=999):\n        return rest"
        ),
        red=[f"{EXPIRY}test_called_early_it_waits_for_the_award_s_own_date"],
    ),
    rule(
        "what would expire an award is not closed while it waits",
        of_awards("consumers.py", "        if award.is_unclaimed:\n", "        if False:\n"),
        red=["claims/test_expiry_by_hand::test_an_award_is_not_left_waiting_for_ever"],
    ),
    rule(
        "points are not taken back below nothing",
        of_awards("models/ledger.py", "        if not into_debt:\n", "        if False:\n"),
        red=[f"{POINTS_BACK}test_they_are_not_taken_back_below_nothing_and_nothing_is_written"],
    ),
    rule(
        "an award is issued once, and as it was read",
        of_awards("models/award.py", "self.filter(pk=award.pk, version=award.version)", "self.filter(pk=award.pk)"),
        red=["test_decoupling::test_an_award_that_was_changed_since_it_was_read_is_left_alone_though_it_still_waits"],
    ),
    rule(
        "the vendor is asked first where it may have the order",
        of_awards("consumers.py", "ask_first=message.attempts > 1,", "ask_first=False,"),
        red=["test_gift::test_an_order_that_nobody_was_told_about_is_found_again_and_not_placed_twice"],
    ),
    rule(
        "the gateway is asked first where it may have sent it",
        of_awards("telling.py", "ask_first=message.attempts > 1,", "ask_first=False,"),
        red=["test_sms::test_a_gateway_that_forgets_keys_is_asked_before_each_further_try"],
    ),
    rule(
        "a webhook goes to hosts that are allowed alone",
        of_awards("conf.py", "    if url.host not in hosts:\n", "    if False:\n"),
        red=[
            f"{WEBHOOKS}test_only_hosts_that_are_allowed_are_ever_called",
            f"{WEBHOOKS}test_a_host_that_is_allowed_no_more_is_not_called",
            "test_vendor_client::test_only_the_vendor_that_is_allowed_is_ever_called",
        ],
    ),
    rule(
        "a webhook's signature covers its id and its time",
        of_awards("channels/webhook.py", "f'{id}.{at}.'.encode() + content", "content"),
        red=[f"{SIGNATURES}test_what_is_told_is_verified_as_the_manual_has_it"],
    ),
    rule(
        "an earlier secret ends",
        of_awards("models/webhook.py", "& Q(previous_until__gt=Now())", "& Q(previous_until__isnull=False)"),
        red=[f"{SIGNATURES}test_after_a_rotation_both_secrets_sign_for_a_day_and_then_the_new_one_alone"],
    ),
    rule(
        "a client learns whose an award is only if it may read that",
        of_awards("channels/webhook.py", "if webhook.client.may(Scope.READ) else {}", "if True else {}"),
        red=[f"{WEBHOOKS}test_who_may_not_read_of_people_is_not_told_whose_it_is_nor_the_key_to_its_page"],
    ),
    rule(
        "the first claim stands",
        of_awards("claims/claiming.py", "Claim.objects.filter(award=award, **asdict(recipient))", "Claim.objects"),
        red=[
            "claims/test_by_the_api::test_another_address_comes_too_late_and_the_first_stands",
            "claims/test_claiming::test_a_second_address_is_not_taken_and_its_winner_is_told_so_with_where_the_gift_goes",
        ],
    ),
    rule(
        "what would expire an award is not withdrawn while the award waits",
        of_awards("consumers.py", "    on_withdrawn=_insist_on_expiry,\n", ""),
        red=["claims/test_expiry_by_hand::test_what_would_expire_an_award_is_not_withdrawn_at_the_desk"],
    ),
    rule(
        "a gift that was tried is not withdrawn",
        of_awards("consumers.py", "if any(closing.message.attempts for closing in withdrawn):", "if False:"),
        red=[f"{BY_HAND}test_a_gift_that_was_tried_is_not_withdrawn_as_the_vendor_may_have_the_order"],
    ),
    rule(
        "a webhook that does not answer leaves places to others",
        of_awards("channels/sharing.py", "self._held[name] >= self._most and name not in self._answering", "False"),
        red=[
            f"{SILENT}test_a_client_that_does_not_answer_holds_a_quarter_of_the_places_and_others_are_told",
            f"{SILENT}test_who_answers_may_hold_every_place_until_it_answers_no_more",
        ],
    ),
    rule(
        "only unused entitlements get links",
        of_awards("admin/entitlements.py", "Entitlement.objects.usable()", "Entitlement.objects.all()"),
        red=["admin/test_who_may_draw::test_the_links_of_all_who_have_not_drawn_yet_come_as_a_file"],
    ),
    rule(
        "points that were issued by hand are not taken back",
        of_awards("services/revoking.py", "if credit is None and award.kind == Kind.POINTS:", "if False:"),
        red=[f"{POINTS_BACK}test_points_that_were_issued_by_hand_are_not_taken_back_here"],
    ),
]
