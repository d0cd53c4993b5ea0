"""Rules of flash sales: whatever Redis, a prewarming or a manager does, each piece is sold once, and none is lost."""

from functools import partial

from tests.mutants.mutant import AWARDS, mutant, of_awards

rule = partial(mutant, room=AWARDS)
QUEUED = "sale/test_queued_draws::"
AGAIN = "sale/test_queued_again::"
RIGHTS = "sale/test_rights_in_redis::"
WARMING = "sale/test_warming::"
SET_UP = "sale/test_set_up_in_the_admin::"
OLD = "sale/test_old_pages::"
PAUSING = "sale/test_pausing::"
TRUTH = "sale/test_truth::"

MUTANTS = [
    rule(
        "a draw that comes while a sale is prewarmed is no error in the log",
        of_awards("views/statuses.py", '"warning" if isinstance(error, SaleUnavailable) else "info"', '"error"'),
        red=["sale/test_logged::test_a_draw_that_comes_while_the_sale_is_prewarmed_is_no_error"],
    ),
    rule(
        "a sale whose campaign is over is not opened",
        of_awards("sale/running.py", "if campaign.clock >= campaign.ends_at:", "if False:"),
        red=[f"{TRUTH}test_a_sale_whose_campaign_is_over_is_not_opened"],
    ),
    rule(
        "a sale is not said to be open whose campaign is switched off",
        of_awards("admin/sale_states.py", "case _state, Phase.OFF:", "case _state, None:"),
        red=[f"{TRUTH}test_a_sale_is_open_where_people_can_draw"],
    ),
    rule(
        "a stock that has left Redis is not counted for it",
        of_awards("sale/running.py", "Sale.objects.filter(stock_in=StockIn.REDIS)", "Sale.objects"),
        red=[f"{OLD}test_a_stock_that_has_left_redis_meanwhile_is_not_counted_for_it"],
    ),
    rule(
        "a stock that Redis has not is not said to add up",
        of_awards("management/commands/sale.py", "stocks and all(stock.in_redis is None for stock in stocks)", "False"),
        red=["sale/test_what_is_seen::test_a_stock_that_redis_has_not_is_not_said_to_add_up"],
    ),
    rule(
        "what a sale has paused goes on when it is closed, whatever it names by then",
        of_awards("sale/pausing.py", "_resume(own.at_rest or [],", "_resume(_pausable(own),"),
        red=[f"{PAUSING}test_what_a_sale_has_paused_goes_on_when_it_is_closed_whatever_it_names_by_then"],
    ),
    rule(
        "a changed list of paused consumers acts at once",
        of_awards("admin/sales.py", "            follow_list(obj)\n", "            pass\n"),
        red=[f"{PAUSING}test_a_list_that_is_changed_while_the_sale_is_open_acts_at_once"],
    ),
    rule(
        "a sale that is closed resumes nothing that another has at rest",
        of_awards("sale/pausing.py", "if name in (sale.at_rest or [])", "if False"),
        red=[f"{PAUSING}test_what_two_sales_have_at_rest_goes_on_when_both_are_closed"],
    ),
    rule(
        "of two sales that open or close at the same moment one is the first",
        of_awards("sale/pausing.py", 'if connection.vendor == "postgresql":', "if False:"),
        red=[
            f"{PAUSING}test_of_two_sales_that_are_closed_at_the_same_moment_one_is_the_last",
            f"{PAUSING}test_what_two_sales_pause_that_open_at_the_same_moment_rests_until_both_are_closed",
        ],
    ),
    rule(
        "a prewarming in the middle of a sale pauses nothing again",
        of_awards(
            "sale/pausing.py",
            "if own is None or not own.is_on or own.at_rest is not None:",
            "if own is None or not own.is_on:",
        ),
        red=[f"{PAUSING}test_what_a_person_resumes_during_a_sale_is_not_paused_again_by_a_prewarming"],
    ),
    rule(
        "what a person has paused is left to that person",
        of_awards("sale/pausing.py", '"--unless-paused", ', ""),
        red=[f"{PAUSING}test_what_a_person_has_paused_is_neither_paused_anew_nor_resumed"],
    ),
    rule(
        "what a person has paused is resumed by no sale",
        of_awards("sale/pausing.py", 'name, f"--paused-by={MACHINE}", reason=reason)', "name, reason=reason)"),
        red=[f"{PAUSING}test_what_a_person_has_paused_is_neither_paused_anew_nor_resumed"],
    ),
    rule(
        "consumers rest until a campaign ends that goes on for weeks",
        of_awards("sale/pausing.py", "if seconds <= MOST_SECONDS", "if True"),
        red=[f"{PAUSING}test_consumers_rest_until_a_campaign_ends_that_goes_on_for_weeks"],
    ),
    rule(
        "consumers rest until a campaign ends whose end was changed",
        of_awards("sale/pausing.py", "            if resumed or was_over:\n", "            if resumed:\n"),
        red=[f"{PAUSING}test_an_end_that_was_mistyped_and_is_put_right_has_the_consumers_rest_again"],
    ),
    rule(
        "a count of the stock opens no sale that somebody has closed",
        of_awards("sale/running.py", "of=[SaleState.OPEN]", "of=tuple(SaleState)"),
        red=[f"{OLD}test_a_sale_that_was_closed_is_not_opened_by_a_count_on_an_old_page"],
    ),
    rule(
        "a page from before a sale was on does not open it after it was closed",
        of_awards("admin/sale_acts.py", 'case "open" if sale.standing != seen:', 'case "open" if False:'),
        red=[f"{OLD}test_a_sale_that_was_closed_is_not_opened_on_a_page_from_before_it_was_on"],
    ),
    rule(
        "a sale that is open is not counted by whoever wanted to open it",
        of_awards("admin/sale_acts.py", 'case "open" if sale.standing != seen:', 'case "open" if False:'),
        of_awards("sale/running.py", "Because.OPENED, of=NOT_ON", "Because.OPENED, of=tuple(SaleState)"),
        red=[f"{OLD}test_a_sale_that_was_opened_is_not_counted_by_open_on_an_old_page"],
    ),
    rule(
        "a prewarming by command opens nothing that was closed",
        of_awards("sale/running.py", "NOT_CLOSED = (SaleState.NEW, SaleState.OPEN)", "NOT_CLOSED = tuple(SaleState)"),
        red=[f"{OLD}test_a_prewarming_by_command_opens_nothing_that_was_closed"],
    ),
    rule(
        "a closed sale refuses nothing that waits in its queue",
        of_awards("sale/bulk_drawing.py", "isinstance(refusal, SaleClosed)", "False"),
        red=[f"{QUEUED}test_what_waits_while_the_sale_is_closed_is_drawn_when_it_is_open_again"],
    ),
    rule(
        "a queued request that is sent again is not asked whether it may be made",
        of_awards(
            "sale/queueing.py", "        if _is_new(campaign.pk, request_id):\n            raise\n", "        raise\n"
        ),
        red=[f"{AGAIN}test_a_person_who_was_blocked_meanwhile_still_reads_of_the_draw"],
    ),
    rule(
        "draws that come between two looks at a sale are no difference",
        of_awards("sale/comparing.py", "held=len(set(taken) - written.won)", "held=0"),
        red=["sale/test_at_the_desk::test_draws_that_come_between_two_looks_are_no_difference"],
    ),
    rule(
        "a stock that is changed while Redis is filled is counted once more",
        of_awards("models/sale.py", 'self.filter(pk=sale.pk), F("epoch") + 1', 'self.filter(pk=sale.pk), F("epoch")'),
        red=[f"{WARMING}test_a_stock_that_is_changed_while_redis_is_filled_is_counted_once_more"],
    ),
    rule(
        "what is won in Redis and not written down yet is not removed from the stock",
        of_awards("services/campaigns.py", "beside=unwritten", "beside=0"),
        red=[f"{WARMING}test_what_is_won_and_not_written_down_is_not_there_to_be_removed"],
    ),
    rule(
        "what Redis has sold is written down before the database sells",
        of_awards("services/sales.py", "    write_down_all(sale.campaign_id)\n", ""),
        red=[f"{SET_UP}test_what_redis_has_sold_is_written_down_before_the_database_sells"],
    ),
    rule(
        "a sale that is opened meanwhile keeps its stock where it is",
        of_awards("services/sales.py", "if shut.select_for_update().first() is None:", "if False:"),
        red=[f"{SET_UP}test_a_sale_that_is_opened_meanwhile_stays_where_it_is"],
    ),
    rule(
        "nothing that Redis cannot count is set under its sale",
        of_awards("models/campaign.py", "if self.has_any_budget and self.sells_from_redis:", "if False:"),
        of_awards("models/prize.py", "if self.wins_per_day is not None and self.campaign_id and", "if False and"),
        red=[f"{SET_UP}test_what_redis_cannot_count_is_not_set_under_its_sale"],
    ),
    rule(
        "nobody draws beyond a budget that Redis cannot count",
        of_awards("sale/drawing.py", "    _refuse_what_redis_cannot_count(campaign, prizes)\n", ""),
        red=["sale/test_drawing_from_redis::test_nobody_draws_beyond_what_redis_cannot_count"],
    ),
    rule(
        "a name that somebody has made up leaves nothing in the cache",
        of_awards(
            "sale/pages.py", "        if found is not None:\n            _keep(", "        if True:\n            _keep("
        ),
        red=["sale/test_cached_pages::test_a_name_that_somebody_has_made_up_leaves_nothing_behind"],
    ),
    rule(
        "a prewarming puts each piece in once, whatever answers are lost",
        of_awards("sale/scripts.py", "if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end\n", ""),
        red=[f"{WARMING}test_a_prewarming_whose_every_answer_is_lost_once_puts_each_piece_in_once"],
    ),
    rule(
        "a prize that is added to a sale is put into Redis",
        of_awards("admin/campaigns.py", "            hold_still(added[0])\n", "            pass\n"),
        red=[f"{SET_UP}test_a_prize_that_is_added_while_the_sale_is_open_is_sold_from_redis_too"],
    ),
    rule(
        "who has no right to draw takes no piece in Redis",
        of_awards("sale/drawing.py", "        draws.refuse_in_advance(campaign, asked)\n", ""),
        red=[f"{RIGHTS}test_who_has_no_right_takes_nothing_and_can_draw_as_soon_as_he_has_one"],
    ),
    rule(
        "of many draws at once by one right, one takes a piece in Redis",
        of_awards("sale/drawing.py", "            stack.enter_context(_turn(sale, asker))\n", "            pass\n"),
        red=[f"{RIGHTS}test_one_right_that_is_used_many_times_at_once_holds_one_piece"],
    ),
    rule(
        "a sale of more pieces than Redis takes in is closed",
        of_awards(
            "sale/warming.py", "        close_sale(Sale.objects.get(pk=sale_id), because=Because.TOO_MANY)\n", ""
        ),
        red=[f"{WARMING}test_a_sale_of_more_pieces_than_redis_takes_in_is_closed_and_says_why"],
    ),
    rule(
        "a stock in Redis has at most a million pieces",
        of_awards("services/campaigns.py", "            _refuse_too_many_for_redis(prize, request)\n", ""),
        red=[f"{SET_UP}test_a_stock_in_redis_has_at_most_a_million_pieces"],
    ),
]
