"""The project's WSGI application; with ``BENCH_WITHOUT`` its draws publish nothing."""

import os

from config.wsgi import application

if os.environ.get("BENCH_WITHOUT") == "1":
    from awards import services

    services.publish = lambda *_args, **_how: []

__all__ = ["application"]
