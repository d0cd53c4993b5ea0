"""The child's side of a rehearsal: reads one question from its input, and answers with lines of JSON.

``python -m outbox.rehearsal.child`` is started by ``outbox.rehearsal.run``, and by nobody else.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import django
from django.conf import settings


def main() -> None:
    """Answer the question, on what was standard output: whatever handlers print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    question = json.loads(sys.stdin.readline())
    settings.DATABASES = question["databases"]
    django.setup()
    _answer(question, _teller(answers))


def _teller(answers: TextIO) -> Callable[..., None]:
    return lambda **line: print(json.dumps(line), file=answers)


def _answer(question: dict[str, Any], tell: Callable[..., None]) -> None:
    # The apps are ready only now.
    from outbox import registry
    from outbox.operate.patch import Patch
    from outbox.rehearsal import play, stage
    from outbox.rehearsal.possible import is_promised

    consumer = registry.get(question["consumer"])
    if consumer is None or not is_promised(consumer.name):
        raise SystemExit(f"{question['consumer']} is not rehearsable in the code of {os.getcwd()}")
    stage.set_up()
    ids, change = question["ids"], Patch.from_json(question["patch"])
    if question["together"]:
        well, many = play.together(consumer, ids, change)
        tell(together=[well, many])
        return
    play.each(consumer, ids, change, begin=lambda id: tell(at=id), report=lambda result: tell(result=result.as_json()))


if __name__ == "__main__":
    main()
