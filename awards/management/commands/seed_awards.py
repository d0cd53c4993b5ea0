"""``manage.py seed_awards``: a campaign to try things with."""

import secrets
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.db import router, transaction
from django.utils import timezone

from awards.fake_vendor.modes import DISCONTINUED
from awards.management.arguments import whole_number
from awards.models import Access, Campaign, Kind, Prize
from awards.models.prize import MOST_STOCK
from awards.services import campaigns

SLUG = "summer-raffle"
LOSING_WEIGHT = 120
MOST_VOUCHERS = 2_000
"""Each has a code in the pool, so that a demo comes to its end; after the last of them other prizes are drawn."""
ALPHABET = "ACDEFGHJKLMNPQRTUVWXY34679"


class Command(BaseCommand):
    """Make the demo campaign and its prizes, where they are not there yet."""

    help = "Makes a running campaign with prizes of every kind. What is there already stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the campaign's address and the stock of each gift."""
        parser.add_argument("--slug", type=_slug, default=SLUG, help=f"the campaign's address ({SLUG})")
        parser.add_argument(
            "--stock", type=whole_number(0, MOST_STOCK), default=10_000, help="how many of each gift there are (10000)"
        )
        parser.add_argument(
            "--empty-pool", action="store_true", help="add no codes, to see vouchers wait until somebody adds some"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make what is missing, and say where it is."""
        with transaction.atomic(using=router.db_for_write(Campaign)):
            campaign, new = Campaign.objects.get_or_create(
                slug=options["slug"],
                defaults={
                    "name": "Summer raffle",
                    "description": "Points in three sizes, cinema vouchers, a mug, a rucksack, and a kettle that is "
                    "no longer made.",
                    "starts_at": timezone.now() - timedelta(days=1),
                    "ends_at": timezone.now() + timedelta(days=365),
                    "losing_weight": LOSING_WEIGHT,
                    "access": Access.OPEN,
                },
            )
            for name, fields in _prizes(options["stock"]).items():
                prize, made = Prize.objects.get_or_create(campaign=campaign, name=name, defaults=fields)
                if made and prize.kind == Kind.COUPON and not options["empty_pool"]:
                    campaigns.add_codes(prize, _make_codes(prize.stock or 0))
        self.stdout.write(f"campaign {campaign.slug}: {'made' if new else 'was there already'}")


def _slug(text: str) -> str:
    """Take what can stand in an address."""
    try:
        return str(Campaign._meta.get_field("slug").clean(text, None))
    except ValidationError as error:
        raise ArgumentTypeError(" ".join(error.messages)) from error


def _prizes(stock: int) -> dict[str, dict[str, Any]]:
    return {
        "10 points": {"kind": Kind.POINTS, "weight": 420, "value": Decimal(10)},
        "50 points": {"kind": Kind.POINTS, "weight": 250, "value": Decimal(50)},
        "500 points": {"kind": Kind.POINTS, "weight": 50, "value": Decimal(500), "stock": stock},
        "Cinema voucher": {
            "kind": Kind.COUPON,
            "weight": 60,
            "value": Decimal("11.00"),
            "stock": min(stock, MOST_VOUCHERS),
        },
        "Enamel mug": _gift("MUG-01", weight=70, worth="12.50", stock=stock),
        "Canvas rucksack": _gift("RUCKSACK-07", weight=20, worth="79.00", stock=stock),
        "Travel kettle": _gift(DISCONTINUED, weight=25, worth="35.90", stock=stock),
    }


def _gift(sku: str, *, weight: int, worth: str, stock: int) -> dict[str, Any]:
    return {"kind": Kind.GIFT, "vendor_sku": sku, "weight": weight, "value": Decimal(worth), "stock": stock}


def _make_codes(number: int) -> list[str]:
    """Return codes that nobody can guess, each its own."""
    codes: set[str] = set()
    while len(codes) < number:
        codes.add("-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3)))
    return sorted(codes)
