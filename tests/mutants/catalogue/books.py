"""Rules of the books: what counts, what is remembered, what pruning leaves, and what a closed day seals."""

from tests.mutants.mutant import Change, mutant

FOUND = "books/test_differences::"
WINDOWS = "books/test_windows::"
PRUNING = "books/test_pruning_and_books::"
DAYS = "books/test_days::"
CHORE = "books/test_chore::"
LONG = "books/test_long_lists::"
ROUNDS = "books/test_rounds::"
CLOCK = "books/test_clock_set_back::"

MUTANTS = [
    mutant(
        "a message that is open although its row is done is a difference",
        Change("books/reading.py", 'if state == DONE and became == "open":', "if False:"),
        red=[f"{FOUND}test_a_message_that_is_open_or_failed_while_its_row_is_done_is_found"],
    ),
    mutant(
        "a success whose row is not done is a difference",
        Change("books/reading.py", 'if state == OPEN and became in ("success", "handled"):', "if False:"),
        red=[f"{FOUND}test_a_success_whose_row_is_not_done_is_found_and_gone_when_the_row_follows"],
    ),
    mutant(
        "only the consumers that settle a row are asked what became of it",
        Change("books/reading.py", "if not book.settled_by or consumer in book.settled_by else None", ""),
        Change("books/reading.py", "    if book.settled_by:\n        text +=", "    if False:\n        text +="),
        red=[f"{FOUND}test_consumers_that_do_not_settle_a_row_need_a_message_and_nothing_else"],
    ),
    mutant(
        "a consumer that was added later is missing nowhere",
        Change("books/reading.py", "if first < number < last:", "if True:"),
        red=[f"{FOUND}test_a_consumer_that_was_added_later_is_missing_nowhere"],
    ),
    mutant(
        "what changed a moment ago is too young to differ",
        Change("books/reading.py", "if kind is not None and old:", "if kind is not None:"),
        Change("books/reading.py", " AND m.old = 1", ""),
        red=[f"{FOUND}test_what_is_younger_than_the_minimum_age_does_not_count"],
    ),
    mutant(
        "replays do not count",
        Change("books/business.py", 'Sql("m.replay = 0 AND m.topic = %s"', 'Sql("m.topic = %s"'),
        red=[f"{FOUND}test_replays_are_no_second_promise"],
    ),
    mutant(
        "what has balanced is not read again",
        Change("books/choosing.py", ".exclude(state=WindowState.BALANCED)", ""),
        red=[f"{WINDOWS}test_what_has_balanced_is_not_read_again"],
    ),
    mutant(
        "what a running transaction may still write into is read again",
        Change("books/keeping.py", "upto=min(run.until, run.horizon.settled)", "upto=run.until"),
        red=[f"{WINDOWS}test_what_a_running_transaction_may_still_write_into_is_read_again"],
    ),
    mutant(
        "everything is read again every night where the book cannot tell what has changed",
        Change("books/choosing.py", "elif state.reread_at < of.horizon.now - NIGHTLY:", "elif False:"),
        red=[f"{WINDOWS}test_what_was_changed_behind_the_application_s_back_is_found_in_the_next_night"],
    ),
    mutant(
        "messages are compared with their rows every night",
        Change("books/keeping.py", "state.swept_at < run.horizon.now - orphans.NIGHTLY", "False"),
        red=[f"{WINDOWS}test_a_business_row_that_is_deleted_is_found_in_the_next_night"],
    ),
    mutant(
        "a message that was too young when its neighbours were searched is searched later",
        Change(
            "books/keeping.py",
            "newest_settled(min(run.horizon.settled, run.until))",
            "newest_settled(run.horizon.settled)",
        ),
        red=[f"{WINDOWS}test_a_message_without_row_that_is_too_young_is_found_once_it_is_not"],
    ),
    mutant(
        "two do not read one book at once",
        Change(
            "books/keeping.py", "BookState.objects.filter(free, pk=book.name)", "BookState.objects.filter(pk=book.name)"
        ),
        red=[f"{WINDOWS}test_two_do_not_read_one_book_at_once"],
    ),
    mutant(
        "a book is not asked about what may have been pruned",
        Change("books/choosing.py", "if since is not None and since < oldest:", "if False:"),
        red=[f"{WINDOWS}test_a_book_is_not_asked_about_what_may_have_been_pruned"],
    ),
    mutant(
        "pruning leaves the messages of windows that have not balanced",
        Change("books/holding.py", "= rows.filter(differing | unread)", "= rows.none()"),
        red=[f"{PRUNING}test_a_window_that_does_not_balance_keeps_its_messages_until_it_does"],
    ),
    mutant(
        "pruning leaves a message without its row until somebody has explained it",
        Change("books/holding.py", "if BookDifference.objects.unexplained().exists():", "if False:"),
        red=[f"{PRUNING}test_a_message_without_its_row_is_kept_until_somebody_has_explained_it"],
    ),
    mutant(
        "a day that does not balance is not closed",
        Change("books/days.py", "if many := differences_of(name, day).count():", "if many := 0:"),
        red=[f"{DAYS}test_a_day_that_does_not_balance_is_not_closed_until_it_is_mended_or_explained"],
    ),
    mutant(
        "a day that is not over is not closed",
        Change("books/days.py", "if end > min(horizon.settled, horizon.now - book.minimum_age):", "if False:"),
        red=[f"{DAYS}test_a_day_that_is_not_over_is_not_closed"],
    ),
    mutant(
        "the audit's entry has a seal over the seals of the day",
        Change("books/days.py", 'fits = fits and stated.get("seal") == seal_of(then)', ""),
        red=[f"{DAYS}test_seals_that_were_changed_with_the_rows_do_not_verify"],
    ),
    mutant(
        "closing a day seals what a message says",
        Change("books/sealing.py", '    "payload",\n', ""),
        red=[f"{DAYS}test_a_day_does_not_verify_once_a_message_of_it_was_changed"],
    ),
    mutant(
        "a book that cannot be read does not keep the others from being read",
        Change("books/running.py", "    except Exception as error:\n", "    except BookBusy as error:\n"),
        red=[f"{CHORE}test_a_book_that_cannot_be_read_is_told_of_and_the_others_are_read"],
    ),
    mutant(
        "health tells of a book that does not balance",
        Change("monitoring/books.py", "if book.differing:\n            yield", "if False:\n            yield"),
        red=[f"{CHORE}test_health_and_metrics_tell_of_differences_by_kind"],
    ),
    mutant(
        "however many messages are searched, one that is too young is searched later",
        Change("books/orphans.py", "m.created_at < %s", "m.created_at <> %s"),
        red=[f"{WINDOWS}test_a_message_without_row_that_is_too_young_is_found_once_it_is_not"],
    ),
    mutant(
        "a key that only reads as the same number is no row's key",
        Change("books/business.py", '"^(0|-?[1-9][0-9]{0,18})$"', '"^[0-9]+$"'),
        red=[f"{FOUND}test_a_key_that_is_no_business_key_is_a_message_without_row"],
    ),
    mutant(
        "a long first reading sees in passing which messages have no row",
        Change("books/keeping.py", "counts, run.strays = whole.count(", "counts, _strays = whole.count("),
        red=[f"{WINDOWS}test_a_long_first_reading_compares_rows_and_messages_by_one_statement"],
    ),
    mutant(
        "rows to which no message leads are counted, too",
        Change("books/whole.py", "    _count_without(book, windows, until, settled=settled)\n", ""),
        red=[f"{FOUND}test_a_business_row_without_any_message_is_found_once_and_gone_when_it_has_one"],
    ),
    mutant(
        "that one consumer has as many messages as there are rows is what says that none lacks one",
        Change("books/reading.py", "return most >= self.business.total()", "return most > 0"),
        red=[f"{FOUND}test_rows_that_have_a_message_of_one_topic_or_of_another_lack_none"],
    ),
    mutant(
        "a long reading counts no row outside its span",
        Change(
            "books/whole.py",
            "CASE WHEN b.since_ >= %s AND b.since_ < %s THEN b.n END, ",
            "CASE WHEN %s < %s THEN b.n END, ",
        ),
        red=[f"{FOUND}test_rows_and_messages_outside_the_span_that_is_read_are_no_difference"],
    ),
    mutant(
        "a span that is asked for says nothing of changes outside it",
        Change("books/keeping.py", "if not is_span and not run.more:", "if not run.more:"),
        red=[f"{WINDOWS}test_a_span_that_is_asked_for_hides_no_change_that_lies_outside_it"],
    ),
    mutant(
        "what is too old to be read anew is not held as if it were yet to be read",
        Change("books/holding.py", "start_of(window_of(read_from))", "state.began_at"),
        red=[
            f"{PRUNING}test_messages_that_are_settled_after_their_window_was_forgotten_are_pruned",
            f"{PRUNING}test_messages_of_a_row_that_is_dated_back_too_far_to_be_read_are_pruned",
        ],
    ),
    mutant(
        "what was never read is held, however old it is",
        Change(
            "books/holding.py",
            "min(oldest_askable(nows[state.pk]), state.read_until)",
            "oldest_askable(nows[state.pk])",
        ),
        red=[f"{PRUNING}test_what_was_never_read_is_not_pruned"],
    ),
    mutant(
        "a number of nineteen digits is a row's key, too",
        Change("books/business.py", "[1-9][0-9]{0,18}", "[1-9][0-9]{0,17}"),
        red=[f"{FOUND}test_a_row_is_found_by_a_number_of_nineteen_digits_and_what_is_larger_is_no_key"],
    ),
    mutant(
        "a number that no column can hold is no row's key",
        Change("books/business.py", "::numeric {self.FITS} THEN", "::numeric > 0 THEN"),
        red=[f"{FOUND}test_a_row_is_found_by_a_number_of_nineteen_digits_and_what_is_larger_is_no_key"],
    ),
    mutant(
        "what is explained takes no room from what nobody has seen",
        Change("books/reading.py", "filter(book=book.name, number=number).count()", "none().count()"),
        red=[f"{LONG}test_what_is_explained_makes_room_for_what_nobody_has_seen"],
    ),
    mutant(
        "what lies behind the end of a list is not gone",
        Change("books/remembering.py", " and not any(cut.hides(one.number, *which) for cut in cuts)", ""),
        red=[f"{LONG}test_what_is_pushed_off_the_end_of_a_list_is_not_gone"],
    ),
    mutant(
        "what lies before the end of a list and is not in it is gone",
        Change("books/reading.py", "return is_of_it and (key, consumer) > self.last", "return is_of_it"),
        red=[f"{LONG}test_what_is_mended_is_gone_although_the_list_is_cut_off"],
    ),
    mutant(
        "what was read in a round is not read in it again",
        Change("books/choosing.py", "if read_since is not None:", "if False:"),
        red=[
            f"{ROUNDS}test_windows_that_have_changed_are_read_each_once_until_all_are",
            f"{ROUNDS}test_windows_that_do_not_balance_are_read_each_once_and_in_the_next_round_again",
        ],
    ),
    mutant(
        "what changed after a round began is of the next",
        Change("books/keeping.py", "_by_now(state.round_settled)", "_by_now(run.horizon.settled)"),
        red=[f"{ROUNDS}test_a_change_that_comes_while_a_round_is_under_way_is_found_by_the_next"],
    ),
    mutant(
        "a reading without a time limit begins anew",
        Change("books/keeping.py", "if run.stop_at is not None and state.round_at is not None:", "if state.round_at:"),
        red=[f"{ROUNDS}test_a_reading_without_a_time_limit_begins_anew"],
    ),
    mutant(
        "a clock that was set back does not have a book be taken for read",
        Change("maintenance/set_back.py", "update(**{field: Now() - NOTICED_LATE})", "exists()"),
        red=[
            f"{CLOCK}test_a_row_of_an_hour_that_comes_once_more_is_found",
            f"{CLOCK}test_a_change_in_an_hour_that_comes_once_more_is_found",
        ],
    ),
    mutant(
        "what was written before it was noticed that the clock was set back is read, too",
        Change("maintenance/set_back.py", "{field: Now() - NOTICED_LATE}", "{field: Now()}"),
        red=[f"{CLOCK}test_a_change_in_an_hour_that_comes_once_more_is_found"],
    ),
    mutant(
        "a clock that was set back keeps no book from being read when it is due",
        Change("maintenance/set_back.py", '("ran_at", ', "("),
        red=[
            f"{CLOCK}test_a_row_of_an_hour_that_comes_once_more_is_found",
            f"{CLOCK}test_a_change_in_an_hour_that_comes_once_more_is_found",
        ],
    ),
    mutant(
        "a round that was begun by the clock before it was set back begins anew",
        Change("maintenance/set_back.py", "    BookState.objects.filter(round_at__gt=Now()).update(", "    dict("),
        red=[f"{CLOCK}test_a_round_that_was_begun_by_the_old_clock_begins_anew"],
    ),
    mutant(
        "what a reader holds when the clock is set back stays its own for a while, and no longer",
        Change("maintenance/set_back.py", "update(held_until=Now() + HELD)", "update(held_until=Now())"),
        red=[f"{CLOCK}test_nothing_lies_ahead_and_what_others_hold_is_theirs_for_a_while"],
    ),
    mutant(
        "a window is not taken for read by the new clock because the old one was ahead",
        Change("maintenance/set_back.py", "    BookWindow.objects.filter(read_at__gt=Now()).update(", "    dict("),
        red=[f"{CLOCK}test_nothing_lies_ahead_and_what_others_hold_is_theirs_for_a_while"],
    ),
    mutant(
        "a reading that began before the clock was set back leaves nothing ahead",
        Change("books/keeping.py", "Least(Value(at, output_field=DateTimeField()), Now())", "Value(at)"),
        red=[f"{CLOCK}test_a_reading_that_began_before_the_clock_was_set_back_leaves_nothing_ahead"],
    ),
]
