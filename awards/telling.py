"""Who is told of an award: its winner by mail or text message, and the clients that want to know.

None of them knows of the others, or of who issues the award.
"""

import random
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from awards import conf, persons
from awards.channels import mail, sms, webhook
from awards.channels.sharing import Shares
from awards.errors import (
    BadAddress,
    CallRefused,
    MailDelayed,
    MailRefused,
    MailServerUnavailable,
    PlacesTaken,
    Unreachable,
)
from awards.listeners import CHANGED, CLAIMABLE_TOLD_BY, CLIENT_TOLD_BY, SMS, TEXTED_BY, TOLD_BY
from awards.models import Award, AwardStatus, Webhook
from outbox import Backoff, Message, Reject, Snooze, Unavailable, consumer

PROMISED = ("award", "person", "prize", "value")
"""Keys of the payload that are what was won. Nobody edits them; the award's own row decides anyway."""
MAIL_WAITS = Backoff(first=timedelta(minutes=2), cap=timedelta(hours=1), jitter=0)
"""How long a mail waits that the server puts off. Greylisting ends within minutes, a full mailbox within days."""
TELLS: Any = {
    "atomic": False,
    "timeout": timedelta(seconds=60),
    "retry": Backoff(limit=8, first=timedelta(seconds=30), cap=timedelta(hours=1)),
    "deadline": timedelta(days=3),
    "value": False,
    "locked": PROMISED,
}
"""How winners are told by mail."""
SMS_CALLS = 3
"""Calls to the gateway that one try may need: ask, send, and ask again if that is not answered."""
AT_ONCE = 20
"""Calls that one process makes at once: others take their time, and each waits by itself."""
OF_ONE_HOST = Shares(AT_ONCE // 4)
"""A quarter of them for the webhooks of one host while it does not answer, so that the rest is left to others."""
HOST_WAITS = Backoff(first=timedelta(seconds=5), cap=timedelta(minutes=5))
"""How long what finds no place waits; each wait leaves a row behind, so they grow."""


@consumer("award.claimable.*", name=CLAIMABLE_TOLD_BY, **TELLS)
@consumer("award.won.*", name=TOLD_BY, **TELLS)
def tell_winner(message: Message) -> None:
    """Send the winner a mail: that it is won, and where to claim it, or that it is on its way.

    Who gave a name and no e-mail address gets none, and neither does an award that is closed.
    """
    award = award_of(message, "draw__campaign", "prize")
    if award.status not in (AwardStatus.WON, AwardStatus.ISSUED) or not mail.address_of(award.person):
        return
    try:
        mail.send_mail_to_winner(award, idempotency_key=message.idempotency_key, language=_language(message))
    except MailServerUnavailable as error:
        raise Unavailable(str(error)) from error
    except MailDelayed as error:
        raise Snooze(MAIL_WAITS.wait(message.attempts, uniform=0), str(error)) from error
    except MailRefused as error:
        raise Reject(str(error)) from error


@consumer(
    f"{SMS}.*",
    name=TEXTED_BY,
    atomic=False,
    concurrency=AT_ONCE,
    timeout=SMS_CALLS * conf.sms_timeouts().longest_call + timedelta(seconds=2),
    retry=Backoff(limit=6, first=timedelta(seconds=10), cap=timedelta(minutes=30)),
    overdue="discard",
    value=False,
    locked=PROMISED,
)
def text_winner(message: Message) -> None:
    """Text the winner, asking the gateway first if it may have been sent already.

    An award that is closed meanwhile is not told of. One that is published ``within`` a day comes to nothing after it,
    quietly, if the gateway was never called for it.
    """
    award = award_of(message, "draw", "prize")
    number = persons.telephone(award.person)
    if award.status not in (AwardStatus.WON, AwardStatus.ISSUED) or not number or conf.sms_settings() is None:
        return
    try:
        sms.text_winner(
            award,
            number,
            idempotency_key=message.idempotency_key,
            language=_language(message),
            ask_first=message.attempts > 1,
            record=message.record_exchange,
        )
    except Unreachable as error:
        raise Unavailable(str(error)) from error
    except CallRefused as error:
        raise Reject(str(error)) from error


@consumer(
    CHANGED,
    name=CLIENT_TOLD_BY,
    atomic=False,
    concurrency=AT_ONCE,
    timeout=conf.webhook_timeouts().longest_call + timedelta(seconds=2),
    retry=Backoff(limit=12, first=timedelta(seconds=10), cap=timedelta(hours=2)),
    deadline=timedelta(days=3),
    value=False,
    locked=("award", "client", "state", "version"),
)
def tell_client(message: Message) -> None:
    """Tell one client how an award has changed. Who is told nothing any more is no work for anybody.

    A client that cannot be reached is no reason to leave others waiting: it spends its own tries, no breaker opens, and
    its host has a quarter of the places until it answers. What finds none of them waits and spends no try.
    """
    award = award_of(message, "draw__campaign", "prize")
    told = message.payload
    found = Webhook.objects.told().with_clock().select_related("client").filter(pk=told["client"]).first()
    if found is None:
        return
    said = webhook.change_of(award, found, state=told["state"], version=told["version"], at=message.created_at)
    try:
        with OF_ONE_HOST.held_by(urlsplit(found.url).netloc):
            webhook.tell(found, id=message.idempotency_key, said=said)
    except PlacesTaken as error:
        raise Snooze(HOST_WAITS.wait(message.attempts, uniform=random.random()), str(error)) from error  # noqa: S311
    except (BadAddress, CallRefused) as error:
        raise Reject(str(error)) from error


def award_of(message: Message, *related: str) -> Award:
    """Return the award that a message is about: the one of its key, which, unlike the payload, nobody can edit."""
    awards = Award.objects.select_related(*related) if related else Award.objects.all()
    id = message.key.partition(".")[0]
    award = awards.filter(pk=int(id)).first() if id.isdecimal() else None
    if award is None:
        raise Reject(f"there is no award {message.key}")
    return award


def _language(message: Message) -> str:
    """Return the language of the draw, as far as the payload says."""
    return str(message.payload.get("language")) if isinstance(message.payload, dict) else ""
