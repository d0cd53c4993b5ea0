"""What a press on the page of a sale does, and what is said of it: each button is asked for by the page it stood on."""

from dataclasses import dataclass

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.utils.translation import gettext as _

from awards.admin.error_texts import explain_refusal
from awards.errors import SaleOver
from awards.models import Because, Phase, Sale, SaleState
from awards.sale.running import close_sale, count_once_more, open_sale


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a press changed anything, and the sentence that says so."""

    changed: bool
    said: str


def press(sale: Sale, act: str, *, seen: str) -> Answer:
    """Do what a button says, with a sale that was read ``with_clock``.

    ``seen`` is the standing of the sale as the page with the button showed it. Closing is never refused for an old
    page: it is how a sale is stopped at once.
    """
    try:
        return _do(sale, act, seen)
    except SaleOver as error:
        return Answer(False, explain_refusal(error))


def _do(sale: Sale, act: str, seen: str) -> Answer:
    match act:
        case "close":
            return Answer(True, _("The sale is closed.")) if close_sale(sale, because=Because.CLOSED) else _nothing()
        case "open" if sale.standing != seen:
            return Answer(False, _changed_meanwhile(sale))
        case "open":
            return Answer(True, _opens(sale)) if open_sale(sale) else _stands(sale)
        case "warm":
            return Answer(True, _("The stock is being counted.")) if count_once_more(sale) else _stands(sale)
    return _nothing()


def closed_by(sale: Sale) -> str:
    """Return who has closed the sale on its page; empty if it is not closed, or nobody knows."""
    if sale.state != SaleState.CLOSED or sale.because != Because.CLOSED:
        return ""
    of_sale = LogEntry.objects.filter(content_type=get_content_type_for_model(sale), object_id=str(sale.pk))
    entry = of_sale.filter(change_message="close").select_related("user").order_by("-action_time", "-pk").first()
    return "" if entry is None else entry.user.get_username()


def _opens(sale: Sale) -> str:
    match sale.phase:
        case Phase.OFF:
            return _("The sale opens, but nobody can draw: the campaign is switched off.")
        case Phase.NOT_BEGUN:
            return _("The sale is made ready. People can draw when the campaign begins.")
    return _("The sale opens.")


def _nothing() -> Answer:
    return Answer(False, _("Nothing was changed: it stands so already."))


def _stands(sale: Sale) -> Answer:
    """Answer for what the sale, as it stands by now, does not allow."""
    sale.refresh_from_db(fields=["state", "because", "changed_at"])
    return Answer(False, _changed_meanwhile(sale))


def _changed_meanwhile(sale: Sale) -> str:
    match sale.state:
        case SaleState.OPEN:
            return _("The sale was opened meanwhile. Nothing was changed.")
        case SaleState.WARMING:
            return _("The stock is being counted at this moment. Nothing was changed.")
        case SaleState.CLOSED if name := closed_by(sale):
            said = _("The sale was closed meanwhile by %(name)s. Nothing was changed; open it if people are to draw.")
            return said % {"name": name}
        case SaleState.CLOSED:
            return _("The sale was closed meanwhile. Nothing was changed; open it if people are to draw.")
    return _("The sale is not open yet. Nothing was changed; open it if people are to draw.")
