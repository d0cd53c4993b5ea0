"""A reader: does in an empty folder what a page says, block by block, as real commands and real processes."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import cache_from_source
from pathlib import Path
from types import TracebackType

from tests.docs import commands
from tests.harness.manual import ROOT, Block
from tests.harness.program import BYTECODE, Program

COMMANDS = {
    "python": f'exec "{sys.executable}" "$@"',
    "celery": f'exec "{sys.executable}" -m celery "$@"',
    "django-admin": f'exec "{sys.executable}" -m django "$@"',
    # What it would install is here already, by PYTHONPATH and the virtualenv of the tests.
    "pip": 'echo "pip $*" >> .installed',
}
"""What a reader finds in the virtualenv that a page has told to make."""
ACTIVATED = re.compile(r"python3? -m venv \S+|\. \S+/bin/activate|source \S+/bin/activate")
"""Done already: the tests run in a virtualenv that has what ``pip install`` would bring."""

READY = {" beat": "beat: Starting", " outbox_receiver": "receiver ready", " runserver": "Quit the server"}
"""What a program says once it is ready, where that is not "ready."."""
MAKE = re.compile(r"make [a-z]+\b")

PYTHON = "import django\n\ndjango.setup()\n"


class Reader:
    """One folder, what is typed in it, and the processes that were left running in its terminals."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None, prelude: str = "") -> None:
        self.folder, self.prelude = folder, prelude
        self.terminals: list[Program] = []
        self.replaced: Mapping[str, str] = {}
        """What is typed in place of what the page says, as names on a broker that runs share."""
        tools = folder.parent / f"{folder.name}-bin"
        tools.mkdir()
        for name, line in COMMANDS.items():
            (tools / name).write_text(f"#!/bin/sh\n{line}\n")
            (tools / name).chmod(0o755)
        inherited = {name: os.environ[name] for name in ("HOME", "LANG", *BYTECODE) if name in os.environ}
        self.environment = {
            **inherited,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for program in reversed(self.terminals):
            program.end()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files that are there before the page begins."""
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)

    def follow(self, blocks: Iterable[Block], *, proof: str = "") -> None:
        """Do what the blocks say, one after another; a ``text`` block is what the one before it has written.

        Blocks of code that follow each other share a process, as most of a short program's time goes into its start;
        each begins with fresh names. ``proof`` is code for the end.
        """
        said, code = "", list[tuple[str, str]]()
        for block in map(self._as_typed, blocks):
            if block.path.startswith("/") or block.language not in ("python", "sh", "text"):
                continue  # a file for a supervisor: see test_every_block_of_code_is_run_or_is_checked
            if block.language == "python" and not block.path:
                code.append((str(block), block.text))
                continue
            if code:
                said, code = self.programs(code), []
            if block.path:
                self.save(block)
            elif block.terminal:
                self.open_terminal(block)
            elif block.language == "sh" and (block.title or MAKE.match(block.text)):
                # With a title it asks questions, or wants root; what make makes is tested by itself, and by CI.
                commands.check(block)
            elif block.language == "sh":
                said = self.shell(block.text, where=str(block))
            elif block.language == "text":
                assert_said(block, said)
        if proof:
            code.append(("the proof", proof))
        if code:
            self.programs(code)

    def _as_typed(self, block: Block) -> Block:
        text = block.text
        for said, typed in self.replaced.items():
            text = text.replace(said, typed)
        return replace(block, text=text)

    def save(self, block: Block) -> None:
        """Write the block into its file, or add it there."""
        if block.language == "python":
            compile(block.text, str(block), "exec")
        file = self.folder / block.path
        file.parent.mkdir(parents=True, exist_ok=True)
        before = f"{file.read_text()}\n" if block.is_added else ""
        file.write_text(before + block.text)
        # A file that is changed twice in a second, and is as long as before, would pass for the one that was compiled.
        Path(cache_from_source(file)).unlink(missing_ok=True)

    def python(self, code: str, *, where: str) -> str:
        """Run the code in a process of the project."""
        return self.programs([(where, code)])

    def programs(self, programs: Sequence[tuple[str, str]]) -> str:
        """Run the pieces of code, each with where it stands, one after another in a process of the project."""
        whole = PYTHON
        for where, code in programs:
            text = self.prelude + textwrap.dedent(code)
            compile(text, where, "exec")
            whole += f"exec(compile({text!r}, {where!r}, 'exec'), {{'__name__': '__main__'}})\n"
        return self._run([sys.executable, "-c", whole], programs[-1][0])

    def shell(self, text: str, *, where: str) -> str:
        """Run the lines in a shell that stops at the first that fails; what they change of folder stays."""
        told = ACTIVATED.sub("true", text)
        said = self._run(["bash", "-euo", "pipefail", "-c", f"{told}\npwd > '{self.folder.parent}/pwd'"], where)
        self.folder = Path((self.folder.parent / "pwd").read_text().strip())
        return said

    def open_terminal(self, block: Block) -> None:
        """Start the command and leave it running, once it has said that it is ready."""
        for program in self.terminals:
            program.is_running()  # asked after, as a shell does, what was killed is gone for good
        command = " ".join(line.partition("    #")[0] for line in block.text.splitlines())
        log = self.folder / f".{block.terminal.lower().replace(' ', '-').replace(':', '')}.log"
        argv = ["bash", "-c", f"cd '{self.folder}' && exec {command}"]
        program = Program(block.terminal, argv, environment=self.environment, log=log)
        self.terminals.append(program)
        program.wait_for(next((said for word, said in READY.items() if word in command), "ready."))

    def _run(self, argv: list[str], where: str) -> str:
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout[-3000:]}"
        return done.stdout


def assert_said(block: Block, said: str) -> None:
    """See that every line of the block was written, in this order; ``…`` stands for anything."""
    rest = [squeezed(line) for line in said.splitlines()]
    for line in filter(None, map(squeezed, block.text.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, re.split(r" ?… ?", line))))
        while rest and not pattern.fullmatch(rest[0]):
            rest.pop(0)
        assert rest, f"{block}: not written, or not in this order: {line!r}; there was:\n{said[-3000:]}"
        rest.pop(0)


def squeezed(line: str) -> str:
    return re.sub(r"\s+", " ", line).strip()
