"""Consumers outside any transaction, and what handlers have met."""

from datetime import timedelta

import pytest

from tests.shop import consumers as shop


@pytest.fixture
def faults():
    """The SQLSTATEs of the errors that handlers have met: the proof that a fault has fired."""
    return []


@pytest.fixture
def order(listen):
    """Make a consumer that is called outside any transaction."""
    return lambda handler=shop.order, **options: listen(handler, atomic=False, timeout=timedelta(seconds=2), **options)
