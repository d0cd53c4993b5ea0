"""What somebody who draws is told, and the root of all errors."""


class AwardsError(Exception):
    """The root: catch it to catch anything the awards raise."""


class DrawError(AwardsError):
    """A draw was not made and nothing was written; ``code`` is the reason for machines."""

    code = "draw_error"


class InvalidPerson(DrawError):
    """The person's name is empty, too long, or holds characters that are not seen. Mend the request."""

    code = "invalid_person"


class InvalidRequestId(DrawError):
    """The request's id is empty, too long, not visible ASCII, or one of a redraw. Mend the request."""

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


class SaleRefused(DrawRefused):
    """The flash sale does not take this draw at this moment. Send the same request again a little later."""

    code = "sale_closed"


class SaleClosed(SaleRefused):
    """The sale is closed by a person, or for the moment in which its stock is counted once more."""


class SaleUnavailable(SaleRefused):
    """The stock of the sale cannot be asked. Nothing was drawn, or it will be taken back."""

    code = "sale_unavailable"


class RequestUnderWay(SaleRefused):
    """The same request, or another of the person, is being drawn, or was cut off and is being looked into."""

    code = "request_under_way"


class NothingNow(DrawRefused):
    """Nothing can be won at this moment: prizes come later, or limits of the day, the person or the budget are met."""

    code = "nothing_now"


class DailyLimitReached(DrawRefused):
    """The person has used up the draws of this day. The next day brings more."""

    code = "daily_limit_reached"


class EntitlementRefused(DrawRefused):
    """There is no right to this draw that could be used up."""

    code = "not_entitled"


class NotEntitled(EntitlementRefused):
    """The person has no entitlement in this campaign, or the one named is another person's. Earn or give one."""


class EntitlementUsed(EntitlementRefused):
    """The entitlement has been used for a draw. Look at that draw."""

    code = "entitlement_used"


class EntitlementExpired(EntitlementRefused):
    """The entitlement was valid until an earlier time."""

    code = "entitlement_expired"


class EntitlementWithdrawn(EntitlementRefused):
    """The entitlement has been taken back."""

    code = "entitlement_withdrawn"


class RiskRefused(DrawRefused):
    """The draw was refused before luck was asked; ``code`` says by what."""

    code = "risk_refused"


class Blocked(RiskRefused):
    """The person or the network address is on the list of blocks. A manager may take it off."""

    code = "blocked"


class TooManyFromAddress(RiskRefused):
    """As many draws as may be have come from this network address in this hour. Try again in the next."""

    code = "too_many_from_address"


class RefusedByCheck(RiskRefused):
    """The project's own check refused it, by a code of its own."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the check of this project refuses it: {code}")
        self.code = code


class RiskCheckFailed(RiskRefused):
    """The project's own check could not say whether the draw is allowed. Try the same request again."""

    code = "risk_check_failed"


class AccessRefused(DrawError):
    """Whoever asks may not draw here, or not in this way; nothing was looked at beyond that."""

    code = "access_refused"


class KeyMissing(AccessRefused):
    """A program must show its key: ``Authorization: Bearer …``."""

    code = "key_missing"


class KeyUnknown(AccessRefused):
    """There is no client with this key."""

    code = "key_unknown"


class KeyRevoked(AccessRefused):
    """The client's key was revoked, and is never valid again."""

    code = "key_revoked"


class ScopeMissing(AccessRefused):
    """The client may do other things, but not this."""

    code = "scope_missing"


class TooManyCalls(AccessRefused):
    """The client has made all the calls of this minute. Send the same request again a little later."""

    code = "too_many_requests"


class NotOpen(AccessRefused):
    """Nobody draws in this campaign by a name typed in: it takes a link, a login, or a client's key."""

    code = "not_open"


class LinkInvalid(AccessRefused):
    """The link is none of ours, or was changed on the way."""

    code = "link_invalid"


class LinkExpired(AccessRefused):
    """The link was valid until an earlier time. A new one can be made."""

    code = "link_expired"


class LinkOfAnotherCampaign(AccessRefused):
    """The link is for another campaign."""

    code = "link_of_another_campaign"
