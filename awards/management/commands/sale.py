"""``manage.py sale``: open, close and prewarm a flash sale, and see whether its stock adds up."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis.exceptions import RedisError

from awards.errors import SaleOver
from awards.models import Because, Phase, Sale, SaleState, StockIn
from awards.sale.comparing import StockOfPrize, compare, without_limit
from awards.sale.running import close_sale, open_sale, start_warming
from awards.sale.warming import warm

CUT_OFF_AFTER = timedelta(minutes=1)
"""A prewarming by command takes seconds; if it has not opened the sale by then, a worker does."""

MOMENT = "%Y-%m-%d %H:%M"


class Command(BaseCommand):
    """Acts on the sale of one campaign."""

    help = "Open, close or prewarm the flash sale of a campaign, or check that Redis, stocks and awards add up."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the campaign's address and what to do."""
        parser.add_argument("campaign", help="the campaign's address, such as summer")
        parser.add_argument(
            "act",
            choices=["open", "close", "prewarm", "check"],
            help="prewarm: count the stock, fill Redis and open the sale at once, here, unless somebody has closed it; "
            "open: have a worker do so, closed or not; "
            "check: exit with 1 if something does not add up",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it."""
        sale = Sale.objects.with_clock().select_related("campaign").filter(campaign__slug=options["campaign"]).first()
        if sale is None:
            raise CommandError(f"{options['campaign']}: there is no flash sale of that campaign")
        try:
            getattr(self, f"_{options['act']}")(sale)
        except RedisError as error:
            raise CommandError(f"Redis does not answer: {error}") from error
        except SaleOver as error:
            raise CommandError(str(error)) from error

    def _open(self, sale: Sale) -> None:
        if not open_sale(sale):
            self.stdout.write("is open already, or about to be")
        elif sale.phase == Phase.OFF:
            self.stdout.write("opens, but nobody can draw: the campaign is switched off")
        elif sale.phase == Phase.NOT_BEGUN:
            self.stdout.write(f"is made ready, and opens with the campaign at {sale.campaign.starts_at:{MOMENT}} UTC")
        else:
            self.stdout.write("opens")

    def _close(self, sale: Sale) -> None:
        self.stdout.write("is closed" if close_sale(sale, because=Because.COMMANDED) else "was closed already")

    def _prewarm(self, sale: Sale) -> None:
        if sale.stock_in != StockIn.REDIS:
            raise CommandError("the stock of this sale is in the database: there is nothing to prewarm")
        start_warming(sale, because=Because.COMMANDED, after=CUT_OFF_AFTER)
        sale.refresh_from_db(fields=["state"])
        if sale.state == SaleState.CLOSED:
            raise CommandError("the sale is closed: prewarm would open it. If people are to draw, say open")
        if not warm(sale.pk):
            sale.refresh_from_db(fields=["state", "because"])
            why = f"it is {sale.state}: {sale.because}" if sale.because else f"it is {sale.state}"
            raise CommandError(f"the sale does not open; {why}")
        self._check(Sale.objects.select_related("campaign").get(pk=sale.pk))

    def _check(self, sale: Sale) -> None:
        stocks = compare(sale)
        for stock in stocks:
            said = f"{stock.prize.name}: {stock.rest} left, {stock.won} won"
            if stock.in_redis is not None:
                said += f", {stock.in_redis} in Redis, {stock.held} being drawn, {stock.unwritten} not written down yet"
            self.stdout.write(said)
        for prize in without_limit(sale):
            self.stdout.write(f"{prize.name}: no limit")
        wrong = [stock for stock in stocks if not stock.balances]
        self.stdout.write(f"adds up: {_verdict(sale, stocks)}")
        if wrong:
            raise CommandError("\n".join(f"{stock.prize.name} does not add up" for stock in wrong))


def _verdict(sale: Sale, stocks: Sequence[StockOfPrize]) -> str:
    """Return yes or no, or why neither can be said."""
    if not all(stock.balances for stock in stocks):
        return "no"
    if sale.stock_in == StockIn.REDIS and stocks and all(stock.in_redis is None for stock in stocks):
        return "not known, as Redis has no stock of this sale at the moment"
    return "yes"
