"""Rehearsals: failed messages are called by today's code and rolled back, to see what a retry would come to.

A consumer's author promises with ``rehearsable=True`` that a rollback undoes what the handler does. The calls are made
in a process of their own, where what no rollback undoes is refused as far as that can be seen.
"""
