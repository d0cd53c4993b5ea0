"""Why messages fail: the fingerprint of an error, and how often it was seen."""
