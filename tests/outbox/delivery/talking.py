"""A handler that talks with another system, and what is kept of that."""

from outbox import Reject, Unavailable
from outbox.models import Exchange

ASKED, HEARD = '{"sku": "MUG"}', '{"number": "V-1"}'


def said(id: int) -> list[tuple[int, str, str]]:
    """Return attempt, request and answer of all that is kept of a message."""
    return list(Exchange.objects.filter(message_id=id).order_by("pk").values_list("number", "request", "answer"))


def talk(message) -> None:
    message.record_exchange(request={"sku": "MUG"}, answer={"number": "V-1"})
    match message.payload.get("do"):
        case "fail":
            raise ValueError("the vendor is confused")
        case "reject":
            raise Reject("no such article")
        case "unavailable":
            raise Unavailable("busy")
