"""The project's WSGI application; with ``BENCH_WITHOUT`` its draws publish nothing."""

import os

from config.wsgi import application

if os.environ.get("BENCH_WITHOUT") == "1":
    from awards.services import draws

    draws.publish = lambda *_args, **_how: []

__all__ = ["application"]
