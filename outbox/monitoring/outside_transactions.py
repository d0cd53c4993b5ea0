"""Views of ours around which a host has no transaction, whatever its ``ATOMIC_REQUESTS`` say."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections, transaction

View = TypeVar("View", bound=Callable[..., Any])


def in_no_transaction(view: View) -> View:
    """Keep a transaction from being opened around the view on any database, also on one that it never asks."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
