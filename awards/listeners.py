"""The topics of awards and the names of our consumers, for those who look at their messages."""

from awards import conf
from awards.models import Award, Kind

CLAIM_DUE = "award.claim.due"
REDRAW = "award.redraw"
STOCK_TAKEN = "stock.taken"
STOCK_GIVEN_BACK = "stock.given_back"
STOCK_SOLD_OUT = "stock.sold_out"
SALE_WARM = "sale.warm"
SALE_DRAW = "sale.draw"
CAMPAIGN_CHANGED = "campaign.changed"
CHANGED = "award.changed"
"""Its keys are the award's, its version and the client's, with points between."""
SMS = "award.sms"

ISSUED_BY = {
    Kind.POINTS: "awards.issue_points",
    Kind.GIFT: "awards.order_gift",
    Kind.COUPON: "awards.hand_out_coupon",
}
"""The consumer that issues each kind."""
COUNTED_BY = "awards.count_win"
TOLD_BY = "awards.tell_winner"
CLAIMABLE_COUNTED_BY = "awards.count_claimable"
CLAIMABLE_TOLD_BY = "awards.tell_claimable"
EXPIRED_BY = "awards.expire_claim"
REDRAWN_BY = "awards.redraw"
WRITTEN_BY = "awards.write_entitlements"
STOCK_WRITTEN_BY = "awards.write_stock"
GIVEN_BACK_BY = "awards.give_back"
SOLD_OUT_BY = "awards.note_sold_out"
WARMED_BY = "awards.warm_sale"
DRAWN_BY = "awards.draw_queued"
FORGOTTEN_BY = "awards.forget_page"
CLIENT_TOLD_BY = "awards.tell_client"
TEXTED_BY = "awards.text_winner"


def claimable(award: Award) -> str:
    """Return the topic of an award that was won and must be claimed before anything is issued."""
    return f"award.claimable.{award.kind}"


def won(award: Award) -> str:
    """Return the topic of an award that is to be issued."""
    return f"award.won.{award.kind}"


def sms_of(topic: str) -> str:
    """Return the topic of the text message beside another topic: ``award.sms.won`` or ``award.sms.claimable``."""
    return f"{SMS}.{topic.split('.')[1]}"


def topics_of(award: Award) -> tuple[str, ...]:
    """Return the topics under which there may be messages about ``award``."""
    topics = (won(award), claimable(award), CLAIM_DUE, REDRAW) if award.claim_until else (won(award),)
    if conf.sms_settings() is None:
        return topics
    return (*topics, *{sms_of(topic): None for topic in topics[:2]})
