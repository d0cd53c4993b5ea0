"""Consumers that rest while a sale is on: what follows a win can wait, the sale cannot."""

import logging
from datetime import timedelta

from django.core.management import CommandError, call_command

from awards.listeners import DRAWN_BY, GIVEN_BACK_BY, SOLD_OUT_BY, STOCK_WRITTEN_BY, WARMED_BY
from awards.models import Campaign, Sale

log = logging.getLogger("awards.sale")

NEEDED = frozenset({DRAWN_BY, GIVEN_BACK_BY, SOLD_OUT_BY, STOCK_WRITTEN_BY, WARMED_BY})
"""What a sale itself lives on."""
MACHINE = "flash sale"
"""Who has done it, as the audit keeps it."""


def pause_consumers(sale: Sale) -> list[str]:
    """Pause the consumers that the sale names until its campaign ends; return which were."""
    names = [name for name in sale.consumers_to_pause if name not in NEEDED]
    if not names:
        return []
    campaign = Campaign.objects.with_clock().get(pk=sale.campaign_id)
    rest = campaign.ends_at - campaign.clock
    if rest <= timedelta(0):
        return []
    span = f"{max(1, int(rest.total_seconds()))}s"
    return [name for name in names if _said("outbox_pause", name, f"--for={span}", reason=f"the sale {campaign.slug}")]


def resume_consumers(sale: Sale) -> list[str]:
    """Let them go on before that; return which do."""
    return [name for name in sale.consumers_to_pause if _said("outbox_resume", name, reason="the sale is closed")]


def _said(command: str, name: str, *arguments: str, reason: str) -> bool:
    """Carry out the operators' command; a consumer that is unknown, or goes on already, is left as it is."""
    try:
        call_command(command, name, *arguments, f"--reason={reason}", f"--actor={MACHINE}", verbosity=0)
    except CommandError as error:
        log.warning("%s", error)
        return False
    return True
