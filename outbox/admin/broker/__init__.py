"""The broker at the desk: what was last seen of it, and its dead letters."""
