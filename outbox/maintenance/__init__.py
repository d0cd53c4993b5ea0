"""What celery-beat calls for: the rescan, recovery, pruning and the rollup, and when each is due."""
