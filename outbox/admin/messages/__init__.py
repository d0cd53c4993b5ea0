"""The work queue and the page of one message."""
