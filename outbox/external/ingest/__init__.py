"""Taking in what others send, exactly once: from their broker's queue to a message of ours, or into quarantine."""
