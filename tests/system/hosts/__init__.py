"""Projects that are not ours, and the engine in them."""
