"""The names of our consumers, for those who look at their messages."""

from awards.models import Kind

ISSUED_BY = {
    Kind.POINTS: "awards.issue_points",
    Kind.GIFT: "awards.order_gift",
    Kind.COUPON: "awards.hand_out_coupon",
}
"""The consumer that issues each kind."""
COUNTED_BY = "awards.count_win"
TOLD_BY = "awards.tell_winner"
