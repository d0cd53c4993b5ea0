"""The project's WSGI application; with ``BENCH_WITHOUT`` its draws publish nothing."""

import os
from typing import Any
from unittest import mock

from config.wsgi import application

if os.environ.get("BENCH_WITHOUT") == "1":
    from awards.services import awarding

    def publish_nothing(*_args: Any, **_how: Any) -> list[int]:
        """Publish nothing, and so return no ids."""
        return []

    mock.patch.object(awarding, "publish_many", publish_nothing).start()

__all__ = ["application"]
