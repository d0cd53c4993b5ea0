"""What people and programs are told when a draw is not made or a claim not taken, in the language they asked for."""

from django.utils.translation import gettext as _

from awards.errors import AccessRefused, ClaimRefused, DrawError, RiskRefused
from awards.models import Campaign
from awards.models.draw import PERSON_LENGTH, REDRAWN, REQUEST_ID_LENGTH


def explain_draw_error(error: DrawError, campaign: Campaign | None = None) -> str:
    """Return one or two sentences that say why, and what to do."""
    match error.code:
        case "invalid_person":
            return _(
                "Give the person as plain text of 1 to %(limit)d characters, none of them a control character, "
                "invisible, of zero width, or one that turns the direction of writing."
            ) % {"limit": PERSON_LENGTH}
        case "invalid_request_id":
            return _(
                "Idempotency-Key must be 1 to %(limit)d visible ASCII characters, and must not begin with %(reserved)s."
            ) % {"limit": REQUEST_ID_LENGTH, "reserved": REDRAWN}
        case "idempotency_key_reused":
            return _("This request has been used for a draw with other data. Use a new one for a new draw.")
        case "campaign_inactive":
            return _("This campaign is switched off at the moment.")
        case "campaign_not_begun":
            return _("This campaign has not begun yet.")
        case "campaign_over":
            return _("This campaign is over.")
        case "limit_reached" if campaign is not None and campaign.draws_per_person == 1:
            return _("You have had your draw: this campaign gives one to each person.")
        case "limit_reached" if campaign is not None and campaign.draws_per_person is not None:
            return _("You have had all your draws: this campaign gives %(limit)d to each person.") % {
                "limit": campaign.draws_per_person
            }
        case "limit_reached":
            return _("You have had all the draws that this campaign gives to each person.")
        case "nothing_now":
            return _("At the moment there is nothing to win for you here. No draw was used up; please try again later.")
        case "sale_closed":
            return _("The sale is not open at the moment. Nothing was drawn; please try again later.")
        case "sale_unavailable":
            return _("The stock could not be asked. Nothing was drawn, or it is being taken back; please try again.")
        case "request_under_way":
            return _("This person is drawing at this moment already. Send the same request again in a moment.")
        case "daily_limit_reached":
            return _("You have had all your draws of today. Tomorrow there are more.")
        case "not_entitled":
            return _("There is no right to a draw for you here, or it has been used.")
        case "entitlement_used":
            return _("This right to a draw has been used.")
        case "entitlement_expired":
            return _("This right to a draw is over: it was valid until an earlier time.")
        case "entitlement_withdrawn":
            return _("This right to a draw was taken back.")
        case "blocked":
            return _("You cannot draw here. If you think that this is wrong, please ask us.")
        case "too_many_from_address":
            return _("Too many draws have come from your network in this hour. Please try again in the next.")
        case "risk_check_failed":
            return _("It could not be checked whether you may draw. Nothing was drawn; please try again.")
        case _ if isinstance(error, RiskRefused):
            return _("This draw was refused. If you think that this is wrong, please ask us.")
        case _ if isinstance(error, AccessRefused):
            return _explain_access(error)
        case "sold_out":
            return _("Sold out: every prize of this campaign has been won.")
        case _:
            return str(error)


def explain_claim_error(error: ClaimRefused) -> str:
    """Return a sentence or two that say why an award was not claimed."""
    match error.code:
        case "claim_expired":
            return _("The time to claim this prize is over.")
        case "already_claimed":
            return _(
                "This prize has been claimed for another address. The first claim stands, and what you sent now was "
                "not taken. If it should go elsewhere, please ask us."
            )
        case _:
            return _("There is nothing to claim here: this prize needs no address, or is closed.")


def _explain_access(error: AccessRefused) -> str:
    match error.code:
        case "key_missing":
            return _("Send your key in the header Authorization, after the word Bearer.")
        case "key_unknown":
            return _("There is no client with this key.")
        case "key_revoked":
            return _("This key was revoked. Ask for a new one.")
        case "scope_missing":
            return _("Your key does not allow this.")
        case "too_many_requests":
            return _("You have made all the calls of this minute. Send the same request again a little later.")
        case "link_invalid":
            return _("This link does not work: it is incomplete, or was changed. Open it again from where you got it.")
        case "link_expired":
            return _("This link is over: it was valid until an earlier time.")
        case "link_of_another_campaign":
            return _("This link is for another raffle.")
        case _:
            return _("To draw here, open the link that you were given, or sign in where you got to know of it.")
