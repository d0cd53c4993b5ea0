"""A client that does not answer leaves most places of a process to the others."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from django.db.models import F

from awards.changes import tell_clients
from awards.channels.sharing import Shares
from awards.errors import PlacesTaken, Unanswered
from awards.models import Award
from awards.telling import tell_client
from outbox import Message
from tests.awards.clients.given import TELL, a_webhook
from tests.awards.clients.receiver import SilentReceiver
from tests.awards.given import an_award_of_points

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_client_that_does_not_answer_holds_a_quarter_of_the_places_and_others_are_told(receiver):
    award = an_award_of_points("anna@example.com")
    silent = SilentReceiver()
    dead, alive = a_webhook(silent), a_webhook(receiver)
    for _turn in range(12):
        with transaction.atomic():
            tell_clients(Award.objects.get(), "issued")
        Award.objects.update(version=F("version") + 1)
    waiting = Message.objects.filter(consumer=TELL)
    messages = sorted(waiting, key=lambda message: message.payload["client"] != dead.pk)

    with ThreadPoolExecutor(24) as pool:
        ends = list(zip(messages, pool.map(how_it_ends, messages), strict=True))

    of_dead = Counter(end for message, end in ends if message.payload["client"] == dead.pk)
    silent.close()
    assert silent.most_at_once == 5
    assert of_dead == {"Unanswered": 5, "Snooze": 7}
    assert [end for message, end in ends if message.payload["client"] == alive.pk].count("") >= 5
    assert award.pk == Award.objects.get().pk


def test_who_answers_may_hold_every_place_until_it_answers_no_more():
    shares = Shares(1)

    def twice() -> str:
        with shares.held_by("a"):
            try:
                with shares.held_by("a"):
                    return "both"
            except PlacesTaken:
                return "one"

    seen = [twice(), twice()]
    with pytest.raises(Unanswered), shares.held_by("a"):
        raise Unanswered("no answer")
    seen.append(twice())

    assert seen == ["one", "both", "one"]
    assert shares._held == {}


def how_it_ends(message: Message) -> str:
    """Call the consumer, as a thread of a worker does; return what it raised by its name, or nothing."""
    try:
        tell_client(message)
    except Exception as error:
        return type(error).__name__
    finally:
        connections.close_all()
    return ""
