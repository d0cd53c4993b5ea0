"""Real processes, killed, frozen and cut off; what is left is judged by an oracle that does not trust the engine."""
