"""What the tests of who may draw begin with: campaigns that are not open, clients, entitlements, links and webhooks."""

import itertools
import json
from datetime import timedelta
from urllib.parse import unquote

from django.utils import timezone

from awards.clients import webhooks
from awards.clients.entitlements import give
from awards.clients.keys import make_client
from awards.clients.links import link_to
from awards.models import Access, ApiClient, Campaign, Entitlement, Scope, Webhook
from outbox.testing import deliver_pending
from tests.awards.clients.receiver import Receiver, SilentReceiver
from tests.awards.given import a_campaign

TELL = "awards.tell_client"
numbers = itertools.count(1)


def a_closed_campaign(slug: str = "raffle", **fields) -> Campaign:
    """Make a campaign in which nobody draws by a name that is typed in."""
    return a_campaign(slug, **{"access": Access.LINK, **fields})


def a_client(*scopes: Scope, **fields) -> tuple[ApiClient, str]:
    """Make a client and return it with its key, as the header has it."""
    client, key = make_client(f"shop {next(numbers)}", scopes=scopes or [Scope.DRAW], actor="maria", **fields)
    return client, f"Bearer {key}"


def an_entitlement(campaign: Campaign, person: str = "anna@example.com", **fields) -> Entitlement:
    given, _new = give(campaign, person=person, source=f"order {next(numbers)}", given_by="maria", **fields)
    return given


def a_link(entitlement: Entitlement, valid: timedelta = timedelta(hours=1)) -> str:
    """Return the link's token alone."""
    return unquote(link_to(entitlement, until=timezone.now() + valid).partition("?link=")[2])


def a_webhook(receiver: "Receiver | SilentReceiver", *scopes: Scope) -> Webhook:
    client, _key = a_client(*(scopes or [Scope.READ]))
    return webhooks.set_address(client, receiver.url, actor="maria")[0]


def told(receiver: Receiver) -> list[dict]:
    """Deliver what waits, and return what the client was told, the first first."""
    deliver_pending(ignore_waits=True)
    return [json.loads(each.body) for each in receiver.told]
