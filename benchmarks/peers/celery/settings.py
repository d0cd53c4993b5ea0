"""Celery's defaults; tuned: connections kept over tasks (``CELERY_DB_REUSE_MAX``) and 64 tasks prefetched per process.

Acknowledged early and sent without publisher confirms, as it comes: both are faster than what would be as safe as ours.
"""

from benchmarks.peers.base import *  # noqa: F403
