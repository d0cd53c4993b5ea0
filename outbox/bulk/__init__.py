"""Bulk operations: one act on a frozen set of messages, previewed, started with a reason, carried out by the workers.

``selection`` says which messages, ``operations`` what an operator does with an operation, ``running`` is the chore that
goes on with those that run, chunk by chunk.
"""
