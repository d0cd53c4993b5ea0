"""What is worth so much that one person alone does not change it."""

from collections.abc import Mapping
from decimal import Decimal

from outbox.conf import conf


def is_worth_more(worth: Mapping[str, Decimal]) -> bool:
    """Tell whether an amount is above what the settings leave to one person (``APPROVAL_ABOVE_VALUE``)."""
    limits = conf().approval_above_value
    return any(amount > limits[currency] for currency, amount in worth.items() if currency in limits)
