"""Everything that can go wrong with awards, as one tree.

Three branches: what somebody who draws is told, what happens to an award, and how a call to the vendor ended.
"""


class AwardsError(Exception):
    """The root: catch it to catch anything the awards raise."""


class DrawError(AwardsError):
    """A draw was not made and nothing was written; ``code`` is the reason for machines."""

    code = "draw_error"


class InvalidPerson(DrawError):
    """The person's name is empty, too long or not plain text. Mend the request."""

    code = "invalid_person"


class InvalidRequestId(DrawError):
    """The request's id is empty, too long or not visible ASCII. Mend the request."""

    code = "invalid_request_id"


class RequestReused(DrawError):
    """The request's id has been used for a draw with other data. Use a new id for a new draw."""

    code = "idempotency_key_reused"


class DrawRefused(DrawError):
    """The campaign does not allow this draw now. The same request may be allowed later, or never."""

    code = "draw_refused"


class CampaignInactive(DrawRefused):
    """The campaign has been switched off."""

    code = "campaign_inactive"


class CampaignNotBegun(DrawRefused):
    """The campaign begins later. Try again then."""

    code = "campaign_not_begun"


class CampaignOver(DrawRefused):
    """The campaign has ended."""

    code = "campaign_over"


class LimitReached(DrawRefused):
    """The person has used up the draws that the campaign gives to each person."""

    code = "limit_reached"


class SoldOut(DrawRefused):
    """No prize of the campaign is left, so there is nothing to draw for."""

    code = "sold_out"


class AwardChanged(AwardsError):
    """The award is no longer as it was read: somebody else settled or changed it first. Look again."""


class VendorError(AwardsError):
    """A call to the vendor did not bring an order."""


class VendorRefused(VendorError):
    """The vendor said no for good. Retrying the same order would not help."""


class VendorAway(VendorError):
    """The vendor took nothing: it cannot be reached, or says that it is busy. Try later."""


class VendorFailed(VendorError):
    """The vendor answered with an error of its own, or with nonsense. It may have taken the order: ask, then retry."""


class VendorSilent(VendorError):
    """The vendor was sent the order and did not answer in time. It may have taken the order: ask before retrying."""
