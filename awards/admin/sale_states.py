"""How a sale stands, as mark, word and colour: whether people can draw, and not only what its row says."""

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from awards.admin.marks import state_as
from awards.models import Phase, Sale, SaleState, StockIn

OVER, OFF, COMES = ("over", "■"), ("off", "✕"), ("not_begun", "◷")
LOOKS = {
    SaleState.NEW: COMES,
    SaleState.WARMING: ("pending", "…"),
    SaleState.OPEN: ("running", "▶"),
    SaleState.CLOSED: OFF,
}
"""The kind, which has a colour, and the mark."""


def state_mark(sale: Sale) -> SafeString:
    """Return how a sale stands that was read ``with_clock``, as mark, word and colour."""
    (kind, mark), said = _look(sale)
    return state_as(kind, mark, said)


def _look(sale: Sale) -> tuple[tuple[str, str], str]:
    match SaleState(sale.state), sale.phase:
        case SaleState.CLOSED, _phase:
            return LOOKS[SaleState.CLOSED], str(SaleState.CLOSED.label)
        case _state, Phase.OVER:
            return OVER, _("the campaign is over")
        case _state, Phase.OFF:
            return OFF, _("the campaign is switched off")
        case SaleState.OPEN | SaleState.NEW, Phase.NOT_BEGUN:
            return COMES, str(SaleState.NEW.label)
        case SaleState.NEW, _running if sale.stock_in == StockIn.REDIS:
            return COMES, _("opens with the first draw")
        case SaleState.NEW, _running:
            return LOOKS[SaleState.OPEN], str(SaleState.OPEN.label)
        case state, _phase:
            return LOOKS[state], str(state.label)
