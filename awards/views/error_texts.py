"""What people and programs are told when a draw is not made, in the language they asked for."""

from django.utils.translation import gettext as _

from awards.errors import DrawError
from awards.models import Campaign
from awards.models.draw import PERSON_LENGTH, REQUEST_ID_LENGTH


def explain_draw_error(error: DrawError, campaign: Campaign | None = None) -> str:
    """Return one or two sentences that say why, and what to do."""
    match error.code:
        case "invalid_person":
            return _(
                "Give the person as plain text of 1 to %(limit)d characters, none of them a control character, "
                "invisible, of zero width, or one that turns the direction of writing."
            ) % {"limit": PERSON_LENGTH}
        case "invalid_request_id":
            return _("Idempotency-Key must be 1 to %(limit)d visible ASCII characters.") % {"limit": REQUEST_ID_LENGTH}
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
        case "sold_out":
            return _("Sold out: every prize of this campaign has been won.")
        case _:
            return str(error)
