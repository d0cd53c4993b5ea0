"""The rows of the business: what can be won, who drew, what was won, and what issuing it left behind."""

from awards.models.award import Award, AwardStatus
from awards.models.campaign import Campaign, Kind, Prize
from awards.models.draw import Draw, Participation
from awards.models.ledger import PointsAccount, PointsEntry, VendorOrder

__all__ = [
    "Award",
    "AwardStatus",
    "Campaign",
    "Draw",
    "Kind",
    "Participation",
    "PointsAccount",
    "PointsEntry",
    "Prize",
    "VendorOrder",
]
