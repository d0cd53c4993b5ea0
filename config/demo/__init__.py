"""``make demo``: real processes, real draws, and a reconciliation that does not trust the messages."""
