"""The work that every side does: an award is written with its message, and a handler issues it."""
