"""Rules of what is done about a message after it was published: withdraw, hurry, replay."""

from tests.mutants.mutant import Change, mutant

PUBLISHED, REVIVING, WAITING = "test_published::", "test_reviving::", "operate/test_waiting::"
REPLAYS, SPANS = "operate/test_replays::", "operate/test_replayed_spans::"

MUTANTS = [
    mutant(
        "withdraw: code waits for no worker",
        Change(
            "published.py",
            'rows.filter(status=Status.PENDING).order_by("pk").select_for_update(skip_locked=True, no_key=True)',
            'rows.filter(status=Status.PENDING).order_by("pk").select_for_update(no_key=True)',
        ),
        red=[f"{PUBLISHED}test_a_withdrawal_waits_for_nobody_who_holds_the_row"],
    ),
    mutant(
        "withdraw: the next of the ordering key goes on",
        Change("published.py", "        _let_next_go(taken)\n    answers", "    answers"),
        red=[f"{PUBLISHED}test_what_stood_behind_a_withdrawn_message_goes_on"],
    ),
    mutant(
        "withdraw: what may have acted is said",
        Change("published.py", "return Withdrawal.MAY_HAVE_ACTED if acted else Withdrawal", "return Withdrawal"),
        red=[f"{PUBLISHED}test_what_may_have_acted_in_an_earlier_call_is_withdrawn_and_said"],
    ),
    mutant(
        "withdraw: what was started is not revived silently",
        Change(
            "publishing.py",
            "if resolution == Resolution.WITHDRAWN and not attempts:",
            "if resolution == Resolution.WITHDRAWN:",
        ),
        red=[f"{REVIVING}test_what_was_withdrawn_after_it_had_been_started_is_not_revived_silently"],
    ),
    mutant(
        "withdraw: a call that is refused revives nothing",
        Change("publishing.py", "if anew and not reused | started:", "if anew:"),
        red=[f"{REVIVING}test_a_call_that_names_what_had_been_started_revives_nothing_else"],
    ),
    mutant(
        "withdraw: what is revived is taken back with the call",
        Change("publishing.py", "transaction.set_rollback(True, using=connection.alias)", "pass"),
        red=[f"{REVIVING}test_nothing_is_revived_by_a_call_that_is_refused"],
    ),
    mutant(
        "withdraw: an operator waits for no worker",
        Change(
            "operate/waiting.py",
            "Message.objects.filter(only, pk=message.pk).select_for_update(skip_locked=True, no_key=True)",
            "Message.objects.filter(only, pk=message.pk).select_for_update(no_key=True)",
        ),
        red=[f"{WAITING}test_an_act_on_what_is_just_being_taken_up_waits_for_nobody"],
    ),
    mutant(
        "hurry: a call that was given up may still run",
        Change("models/queryset.py", "Case(When(attempts=0, then=Now())", "Case(When(attempts__gte=0, then=Now())"),
        red=[f"{PUBLISHED}test_what_was_called_before_is_due_after_a_lease_as_the_call_may_still_run"],
    ),
    mutant(
        "hurry: what stands behind another of its key goes on sleeping",
        Change(
            "models/queryset.py",
            'asleep = When(~Q(ordering_key=""), then=F("due_at"))',
            'asleep = When(pk=0, then=F("due_at"))',
        ),
        red=[f"{PUBLISHED}test_hurrying_lets_nothing_overtake_what_stands_before_it"],
    ),
    mutant(
        "hurry: many are taken in small transactions",
        Change("operate/hurrying.py", "min(pace.rows, most)", "max(pace.rows, most)"),
        red=[f"{WAITING}test_many_are_hurried_the_next_first_in_small_transactions"],
    ),
    mutant(
        "hurry: a transaction that took too long is followed by a smaller one",
        Change("operate/pacing.py", "self.rows * min(AIM / took, 2.0)", "self.rows * 2.0"),
        red=["operate/test_pacing::test_a_transaction_that_took_too_long_is_followed_by_a_smaller_one"],
    ),
    mutant(
        "replay: another consumer never has the first one's idempotency key",
        Change(
            "models/sql/replay.py",
            "source.drawn_key ELSE {} END",
            "source.drawn_key ELSE source.drawn_key END",
        ),
        red=[f"{REPLAYS}test_another_consumer_never_gets_the_key_of_the_first"],
    ),
    mutant(
        "replay: it stands at the end of its ordering key",
        Change("models/sql/replay.py", "asleep.append(order in taken)", "asleep.append(False)"),
        red=[f"{REPLAYS}test_a_replay_stands_at_the_end_of_its_ordering_key"],
    ),
    mutant(
        "replay: never to a consumer that is called at most once",
        Change("operate/messages.py", "if consumer.at_most_once:", "if consumer.at_most_once and consumer.bulk:"),
        red=[f"{REPLAYS}test_what_is_called_at_most_once_is_never_replayed"],
    ),
    mutant(
        "replay: a span that was stopped does nothing twice",
        Change(
            "operate/replays.py",
            'Q(consumer=span.consumer) & ~Exists(own.filter(replay__gt=OuterRef("replay")))',
            "Q(consumer=span.consumer)",
        ),
        red=[f"{SPANS}test_a_span_goes_on_where_it_was_stopped_and_is_done_once"],
    ),
    mutant(
        "replay: what was withdrawn is left out",
        Change("operate/replays.py", "return rows.exclude(resolution=Resolution.WITHDRAWN)", "return rows"),
        red=[f"{SPANS}test_a_consumer_added_later_is_given_every_event_of_a_span_once"],
    ),
]
