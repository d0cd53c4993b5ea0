"""What stands before luck: blocks, limits per network address, and the project's own check."""

import logging
import re
import time

from django.utils.crypto import salted_hmac

from awards import conf
from awards.clients.callers import Caller
from awards.errors import Blocked, RefusedByCheck, RiskCheckFailed, TooManyFromAddress
from awards.models import AddressCount, Block, Campaign
from awards.models.risk import ADDRESS_DIGEST_LENGTH, REFUSAL_CODE_LENGTH

log = logging.getLogger("awards.clients")

SECONDS_WITHOUT_BLOCKS = 1.0
"""For which a flash sale looks for nobody in the list of blocks once it was empty."""

CODE = re.compile(rf"[a-z][a-z0-9_]{{0,{REFUSAL_CODE_LENGTH - 1}}}")
"""What a check may refuse by."""


def check(campaign: Campaign, caller: Caller, person: str) -> None:
    """Let ``person`` draw, or raise a ``RiskRefused``. The campaign must have been read ``with_clock``.

    What is counted here stays counted, whatever becomes of the draw.
    """
    if not _knows_of_no_blocks(campaign) and Block.objects.against(person=person, address=caller.address).exists():
        raise Blocked("the person or the address is blocked")
    _count_address(campaign, caller)
    _ask_project(campaign, caller, person)


_no_blocks_until = 0.0


def _knows_of_no_blocks(campaign: Campaign) -> bool:
    """Tell whether a flash sale need not look, as a second ago nobody was blocked at all."""
    global _no_blocks_until
    if campaign.how_sold is None:
        return False
    if time.monotonic() < _no_blocks_until:
        return True
    if Block.objects.exists():
        return False
    _no_blocks_until = time.monotonic() + SECONDS_WITHOUT_BLOCKS
    return True


def _count_address(campaign: Campaign, caller: Caller) -> None:
    """Hold a draw without a client's key, on the page or by the API, against the limit of its address.

    A shop's server draws for many from one address.
    """
    if campaign.draws_per_address is None or caller.client is not None or not caller.address:
        return
    digest = salted_hmac("awards.address", caller.address).hexdigest()[:ADDRESS_DIGEST_LENGTH]
    hour = campaign.clock.replace(minute=0, second=0, microsecond=0)
    if not AddressCount.objects.count_one(campaign, digest, hour, most=campaign.draws_per_address):
        raise TooManyFromAddress(f"{campaign.draws_per_address} draws an hour from one address")


def _ask_project(campaign: Campaign, caller: Caller, person: str) -> None:
    """Ask the project's own check, if there is one. What it raises, and what is no code, refuses the draw as well."""
    judge = conf.risk_check()
    if judge is None:
        return
    client = caller.client.name if caller.client is not None else ""
    try:
        code = judge(campaign=campaign.slug, person=person, address=caller.address, client=client)
    except Exception as error:  # foreign code: whatever it raises, nothing says that the draw is allowed
        log.exception("the project's risk check failed")
        raise RiskCheckFailed("the check failed") from error
    if code is None or code == "":
        return
    if not isinstance(code, str) or not CODE.fullmatch(code):
        log.error("the project's risk check answered what is no code, a %s", type(code).__name__)
        raise RiskCheckFailed("the check answered what is no code")
    raise RefusedByCheck(code)
