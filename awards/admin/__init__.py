"""The awards in Django's admin: campaigns to run, ledgers to read, and what the desk is told about our messages."""

from awards.admin.blocks import BlockAdmin
from awards.admin.campaigns import CampaignAdmin
from awards.admin.clients import ApiClientAdmin
from awards.admin.descriptions import describe_awards
from awards.admin.edit_forms import LanguageForm
from awards.admin.entitlements import EntitlementAdmin, EntitlementImportAdmin
from awards.admin.ledgers import (
    AwardAdmin,
    ClaimAdmin,
    DrawAdmin,
    PointsAccountAdmin,
    PointsEntryAdmin,
    VendorOrderAdmin,
)
from awards.admin.prizes import CouponAdmin, PrizeAdmin
from awards.admin.sales import SaleAdmin

__all__ = [
    "ApiClientAdmin",
    "AwardAdmin",
    "BlockAdmin",
    "CampaignAdmin",
    "ClaimAdmin",
    "CouponAdmin",
    "DrawAdmin",
    "EntitlementAdmin",
    "EntitlementImportAdmin",
    "LanguageForm",
    "PointsAccountAdmin",
    "PointsEntryAdmin",
    "PrizeAdmin",
    "SaleAdmin",
    "VendorOrderAdmin",
    "describe_awards",
]
