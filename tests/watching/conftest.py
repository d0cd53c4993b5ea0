"""What every test of the watching needs: nothing remembered from the test before."""

from collections.abc import Callable
from typing import Any

import pytest

from outbox import memory
from tests.engine.conftest import transactional_db

__all__ = ["transactional_db"]


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    memory.forget_all()


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Change keys of the host's dict ``OUTBOX`` for one test."""

    def change(**keys: Any) -> None:
        settings.OUTBOX = {**settings.OUTBOX, **keys}

    return change
