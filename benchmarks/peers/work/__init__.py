"""The work that every contestant does: an award is written with its message, and a handler issues it."""
