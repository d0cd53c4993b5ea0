"""The awards in Django's admin: campaigns to run, books to read, and what the desk is told about our messages."""

from awards.admin.books import AwardAdmin, DrawAdmin, PointsAccountAdmin, PointsEntryAdmin, VendorOrderAdmin
from awards.admin.campaigns import CampaignAdmin
from awards.admin.desk import describe_awards
from awards.admin.prizes import CouponAdmin, PrizeAdmin

__all__ = [
    "AwardAdmin",
    "CampaignAdmin",
    "CouponAdmin",
    "DrawAdmin",
    "PointsAccountAdmin",
    "PointsEntryAdmin",
    "PrizeAdmin",
    "VendorOrderAdmin",
    "describe_awards",
]
