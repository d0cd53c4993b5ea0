"""The offset between our clock and the database's."""

import time

from django.db import connection


def database_clock_offset() -> float:
    """Return what must be added to our clock to get the database's, from the quickest of twenty queries."""
    answers = []
    with connection.cursor() as cursor:
        for _ in range(20):
            asked = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            [database] = cursor.fetchone()
            answered = time.time()
            answers.append((answered - asked, float(database) - (asked + answered) / 2))
    return min(answers)[1]
