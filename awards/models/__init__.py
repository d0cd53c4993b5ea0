"""The rows of the business: what can be won, who may draw, who drew, what was won, and what issuing it left behind."""

from awards.models.award import Award, AwardStatus
from awards.models.campaign import Access, Campaign, Phase
from awards.models.claim import Claim
from awards.models.client import ApiClient, Scope
from awards.models.coupon import Coupon
from awards.models.draw import Draw, Participation
from awards.models.entitlement import Entitlement, EntitlementImport, ImportPart
from awards.models.ledger import PointsAccount, PointsEntry, VendorOrder
from awards.models.prize import Kind, Prize
from awards.models.risk import AddressCount, Block, BlockKind, Refusal
from awards.models.sale import Because, QueuedRefusal, Sale, SaleSecond, SaleState, StockIn
from awards.models.statistic import DailyStatistic
from awards.models.stock import StockAct, StockChange
from awards.models.webhook import Webhook

__all__ = [
    "Access",
    "AddressCount",
    "ApiClient",
    "Award",
    "AwardStatus",
    "Because",
    "Block",
    "BlockKind",
    "Campaign",
    "Claim",
    "Coupon",
    "DailyStatistic",
    "Draw",
    "Entitlement",
    "EntitlementImport",
    "ImportPart",
    "Kind",
    "Participation",
    "Phase",
    "PointsAccount",
    "PointsEntry",
    "Prize",
    "QueuedRefusal",
    "Refusal",
    "Sale",
    "SaleSecond",
    "SaleState",
    "Scope",
    "StockAct",
    "StockChange",
    "StockIn",
    "VendorOrder",
    "Webhook",
]
