"""What a campaign's manager is told when an act is refused, or a list of codes is not taken."""

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from awards.codes import FaultyLine, LineFault
from awards.errors import (
    FallbackHasNoStock,
    IssuedByHand,
    ManagingError,
    PointsSpent,
    SaleOpened,
    SaleOver,
    StockChangedAlready,
    StockHasALimit,
    StockHasNoLimit,
    StockTooLarge,
    StockTooSmall,
    TooManyForRedis,
)
from awards.models.campaign import too_many_for_redis
from awards.models.coupon import CODE_LENGTH


def explain_refusal(error: ManagingError | IssuedByHand) -> str:
    """Return a sentence or two that say why, and what to do."""
    match error:
        case StockTooSmall(left=left):
            said = ngettext("Only %(left)d piece is left by now.", "Only %(left)d pieces are left by now.", left)
            return said % {"left": left}
        case PointsSpent(left=left, points=points):
            said = _("only %(left)d of its %(points)d points are left in the account.")
            return said % {"left": left, "points": points}
        case IssuedByHand():
            return _("it was issued by hand, so there are no points to take back here.")
        case TooManyForRedis():
            return too_many_for_redis()
        case StockChangedAlready(at=at):
            said = _("You did the same at %(time)s, so it was not done again. If you mean it, give another reason.")
            return said % {"time": time_format(timezone.localtime(at), "TIME_FORMAT")}
        case StockTooLarge():
            return _("The stock would become larger than can be written down.")
        case StockHasNoLimit():
            return _("This stock has no limit, so nothing can be added or removed. Set a limit first.")
        case StockHasALimit():
            return _("This stock has a limit already. Add to it or remove from it.")
        case FallbackHasNoStock():
            return _("It is given when nothing else is left, so it has no stock. Untick that on its page first.")
        case SaleOpened():
            return _("The sale was opened meanwhile. Close it first.")
        case SaleOver(ended_at=ended_at):
            said = _("The sale was not opened: its campaign ended at %(moment)s. Give the campaign a later end first.")
            return said % {"moment": date_format(timezone.localtime(ended_at), "DATETIME_FORMAT")}
        case _:
            return str(error)


def explain_faulty_line(faulty_line: FaultyLine) -> str:
    """Return what is wrong with a line of a list of codes."""
    match faulty_line.fault:
        case LineFault.UNPRINTABLE:
            said = _("Line %(line)d holds a character that cannot be printed or is not seen.")
        case LineFault.TOO_LONG:
            said = _("Line %(line)d is longer than %(limit)d characters.")
        case LineFault.SEVERAL:
            said = _("Line %(line)d has more than one column. Give one code a line.")
        case LineFault.DOUBLED:
            said = _("Line %(line)d repeats the code of line %(first)d.")
        case LineFault.KNOWN:
            said = _("The code in line %(line)d is in the pool already.")
    return said % {"line": faulty_line.line, "first": faulty_line.first, "limit": CODE_LENGTH}
