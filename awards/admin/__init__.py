"""The awards in Django's admin: campaigns to run, ledgers to read, and what the desk is told about our messages."""

from awards.admin.campaigns import CampaignAdmin
from awards.admin.descriptions import describe_awards
from awards.admin.edit_forms import LanguageForm
from awards.admin.ledgers import AwardAdmin, DrawAdmin, PointsAccountAdmin, PointsEntryAdmin, VendorOrderAdmin
from awards.admin.prizes import CouponAdmin, PrizeAdmin

__all__ = [
    "AwardAdmin",
    "CampaignAdmin",
    "CouponAdmin",
    "DrawAdmin",
    "LanguageForm",
    "PointsAccountAdmin",
    "PointsEntryAdmin",
    "PrizeAdmin",
    "VendorOrderAdmin",
    "describe_awards",
]
