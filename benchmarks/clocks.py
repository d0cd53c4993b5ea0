"""Two clocks, ours and the database's, and what lies between them."""

import time

from django.db import connection


def seconds_ahead() -> float:
    """Return what must be added to our clock to get the database's, from the quickest of twenty questions."""
    answers = []
    with connection.cursor() as cursor:
        for _ in range(20):
            asked = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            [database] = cursor.fetchone()
            answered = time.time()
            answers.append((answered - asked, float(database) - (asked + answered) / 2))
    return min(answers)[1]
