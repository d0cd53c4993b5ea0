"""The rows of the business: what can be won, who drew, what was won, and what issuing it left behind."""

from awards.models.award import Award, AwardStatus
from awards.models.campaign import Campaign, Kind, Phase, Prize
from awards.models.coupon import Coupon
from awards.models.draw import Draw, Participation
from awards.models.ledger import PointsAccount, PointsEntry, VendorOrder
from awards.models.statistic import DailyStatistic
from awards.models.stock import StockAct, StockChange

__all__ = [
    "Award",
    "AwardStatus",
    "Campaign",
    "Coupon",
    "DailyStatistic",
    "Draw",
    "Kind",
    "Participation",
    "Phase",
    "PointsAccount",
    "PointsEntry",
    "Prize",
    "StockAct",
    "StockChange",
    "VendorOrder",
]
