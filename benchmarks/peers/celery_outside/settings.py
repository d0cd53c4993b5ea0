"""Celery as its guide has it for tasks that take long: one prefetched for each place, acknowledged early.

By default it is four, and of a short backlog one worker would take everything. The tasks do not use the database. In
greenlets httpx and requests are equally fast (0.8 ms of CPU time a call), so it is httpx for all.
"""

from benchmarks.peers.base import *  # noqa: F403

CELERY_WORKER_PREFETCH_MULTIPLIER = 1
