"""Real workers, beats, servers and browsers, and what is done to them."""
