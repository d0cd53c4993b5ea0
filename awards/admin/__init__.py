"""The awards in Django's admin: campaigns to edit, books to read, and what the desk is told about our messages."""

from awards.admin.books import AwardAdmin, DrawAdmin, PointsAccountAdmin, PointsEntryAdmin, VendorOrderAdmin
from awards.admin.campaigns import CampaignAdmin
from awards.admin.desk import describe_awards

__all__ = [
    "AwardAdmin",
    "CampaignAdmin",
    "DrawAdmin",
    "PointsAccountAdmin",
    "PointsEntryAdmin",
    "VendorOrderAdmin",
    "describe_awards",
]
