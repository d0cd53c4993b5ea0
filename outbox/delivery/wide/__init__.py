"""Calls beside each other: the pool of places of a worker process, which outlives the hints that wake it."""
