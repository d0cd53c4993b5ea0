"""What happens to an award, how a call to the vendor or a mail ended, and what somebody who manages is told."""

from datetime import datetime

from awards.errors.draws import AwardsError


class ClaimRefused(AwardsError):
    """An award was not claimed and nothing was written; ``code`` is the reason for machines."""

    code = "claim_refused"


class ClaimExpired(ClaimRefused):
    """The time to claim the award is over."""

    code = "claim_expired"


class AlreadyClaimed(ClaimRefused):
    """The award has been claimed. Nothing more is needed."""

    code = "already_claimed"


class NothingToClaim(ClaimRefused):
    """The award needs no claim, was taken back, or is closed otherwise."""

    code = "nothing_to_claim"


class AwardChanged(AwardsError):
    """The award is no longer as it was read: somebody else settled or changed it first. Look again."""


class IssuedByHand(AwardChanged):
    """The award's points were given outside of here, so there are none to take back."""


class ClosingRefused(AwardsError):
    """An operator may not close or reopen a message so, as the award forbids it; the text tells the operator why."""


class PoolEmpty(AwardsError):
    """The prize has no free code left. Try again once codes were added."""


class VendorError(AwardsError):
    """A call to the vendor did not bring an order. The HTTP status, if it answered one, keeps failures apart.

    ``may_have_acted`` says for the desk whether the vendor may have taken the order all the same.
    """

    may_have_acted = False

    def __init__(self, text: str, *, failure_code: int | None = None) -> None:
        super().__init__(text)
        self.failure_code = failure_code


class VendorRefused(VendorError):
    """The vendor said no for good. Retrying the same order would not help."""


class VendorUnavailable(VendorError):
    """The vendor took nothing: it cannot be reached, or says that it is busy. Try later."""


class VendorFailed(VendorError):
    """The vendor answered with an error of its own, or with nonsense. It may have taken the order: ask, then retry."""

    may_have_acted = True


class VendorSilent(VendorError):
    """The vendor was sent the order and did not answer in time. It may have taken the order: ask before retrying."""

    may_have_acted = True


class MailError(AwardsError):
    """A mail was not sent."""


class MailServerUnavailable(MailError):
    """No mail can be sent now: the server is away, busy, or does not let us in. Try later."""


class MailDelayed(MailError):
    """The server does not take this mail now, for its recipient's sake or its own. Try later; others may pass."""


class MailRefused(MailError):
    """The server refused this mail for good. Retrying the same mail would not help."""


class ManagingError(AwardsError):
    """An act of a campaign's manager was refused and nothing was written."""


class StockTooSmall(ManagingError):
    """There is less in stock than was to be taken off; ``left`` is what there is."""

    def __init__(self, left: int) -> None:
        super().__init__(f"only {left} are left in stock")
        self.left = left


class StockTooLarge(ManagingError):
    """The stock would become larger than can be written down."""


class TooManyForRedis(StockTooLarge):
    """The stock would become larger than Redis takes in, where it is there."""


class StockChangedAlready(ManagingError):
    """The same person has made the same change of a stock just before; ``at`` says when."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"the same was done at {at:%H:%M:%S}")
        self.at = at


class StockHasNoLimit(ManagingError):
    """There is nothing to add to or take from: the stock has no limit."""


class StockHasALimit(ManagingError):
    """The stock has a limit already: add to it or take from it instead."""


class FallbackHasNoStock(ManagingError):
    """What is given when nothing else is left has no stock that could be limited."""


class SaleOpened(ManagingError):
    """A sale was opened meanwhile, so where its stock is stays as it is."""


class SaleOver(ManagingError):
    """A sale is not opened, as its campaign has ended at ``ended_at``."""

    def __init__(self, ended_at: datetime) -> None:
        super().__init__(f"the campaign ended at {ended_at:%Y-%m-%d %H:%M} UTC: give it a later end first")
        self.ended_at = ended_at


class PointsSpent(ManagingError):
    """Points cannot be taken back, as the account has fewer of them left: ``left`` of ``points``."""

    def __init__(self, left: int, points: int) -> None:
        super().__init__(f"only {left} of the {points} points are left")
        self.left, self.points = left, points


class PersonInUse(ManagingError):
    """A person cannot be forgotten while something is still owed to them, or waits; it says what."""


class SourceTaken(ManagingError):
    """What an entitlement is earned by has earned one already, for another person. Nothing was given."""


class CodesKnown(ManagingError):
    """Some of the codes are in the pool already, issued or not; ``codes`` says which."""

    def __init__(self, codes: set[str]) -> None:
        super().__init__(f"{len(codes)} codes are in the pool already")
        self.codes = codes
