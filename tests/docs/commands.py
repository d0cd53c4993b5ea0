"""Command lines that are not run: that there is such a command, with such options, is seen all the same."""

import re
import shlex
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator

from celery.bin.celery import celery
from django.core.management import get_commands, load_command_class

from tests.harness.manual import ROOT, Block

OF_OTHERS = {
    *("awk", "cd", "chmod", "cp", "createdb", "curl", "docker", "dropdb", "export", "grep", "install", "journalctl"),
    *("kubectl", "pg_basebackup", "pg_dump", "pg_restore", "pip", "psql", "rabbitmq-diagnostics", "rabbitmq-queues"),
    *("rabbitmqctl", "supervisorctl", "systemctl", "systemd-run", "useradd", "sed", "kill", "sleep"),
}
"""Commands that are not ours: only their names are looked at."""
CODE = re.compile(r'-c "\n(.*?)\n"', re.DOTALL)
"""Python that is given to a command, on lines of its own."""


def check(block: Block) -> None:
    """See that every command of the block is there and knows the options that it is given."""
    for line in command_lines(block.text):
        words = [word for word in shlex.split(line, comments=True) if not re.fullmatch(r"[A-Z_]+=.*", word)]
        if words:
            _check(words, f"{block}: {line}")


def command_lines(text: str) -> Iterator[str]:
    """Yield each command by itself: lines that go on are joined, lists are taken apart."""
    for code in CODE.findall(text):
        compile(code, text, "exec")
    for line in re.sub(r"\\\n\s*", "", CODE.sub("-c code", text)).splitlines():
        yield from re.split(r"\s(?:&&|\|\||;|\|)\s", line)


def _check(words: list[str], where: str) -> None:
    while words[0] in ("sudo", "exec"):
        words = words[1:]
    if "manage.py" in words:
        _check_command_of_django(words[words.index("manage.py") + 1 :], where)
    elif words[0].endswith("python") and words[1:3] == ["-m", "config.demo.clone"]:
        _check_command_of_django(words[3:], where)
    elif words[0].endswith("celery") or words[1:3] == ["-m", "celery"]:
        _check_celery(words, where)
    elif words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets), where
    else:
        assert words[0] in OF_OTHERS, f"{where}: is {words[0]!r} a command?"


def _check_command_of_django(words: list[str], where: str) -> None:
    name, *arguments = words
    assert name in get_commands(), f"{where}: manage.py has no {name}"
    app = get_commands()[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    known = _options_of(command.create_parser("manage.py", name), arguments, where)
    given = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    assert given <= known, f"{where}: {name} does not know {given - known}"


def _options_of(parser: ArgumentParser, arguments: list[str], where: str) -> set[str]:
    """Return the options that the parser knows; of a command with verbs, those of the verb that is given, too."""
    known = {option for action in parser._actions for option in action.option_strings}
    for verbs in (action.choices for action in parser._actions if isinstance(action, _SubParsersAction)):
        assert arguments[0] in verbs, f"{where}: there is no {arguments[0]}"
        known |= _options_of(verbs[arguments[0]], arguments[1:], where)
    return known


def _check_celery(words: list[str], where: str) -> None:
    [name] = [word for word in words if word in ("worker", "beat", "inspect", "control")]
    options = {option for each in celery.commands[name].params for option in (*each.opts, *each.secondary_opts)}
    given = {word.partition("=")[0] for word in words[words.index(name) :] if re.match(r"-{1,2}[a-zA-Z]", word)}
    assert given <= options, f"{where}: celery {name} does not know {given - options}"
