"""A project that is not ours, written into a folder, and the commands and processes that are run in it."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.program import BYTECODE, ROOT, Program
from tests.system.hosts import files

START = """
    import json
    import django

    django.setup()
    answer = lambda value: print("\\n" + json.dumps(value))
    wait = lambda result: result.get(timeout=10, interval=0.05)
"""


class Host:
    """One project in its own folder, with its own settings module, database and queues.

    It has the engine from the repository, or with ``python`` only what is installed beside that interpreter.
    """

    def __init__(
        self, folder: Path, *, settings: str, replace: Mapping[str, str] | None = None, python: str = ""
    ) -> None:
        self.folder = folder
        self.interpreter = python or sys.executable
        written = {**files.PROJECT, "myproject/settings.py": files.PROJECT["myproject/settings.py"] + settings}
        for path, text in {**written, **(replace or {})}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(textwrap.dedent(text))
        # What is installed beside an interpreter is thrown away with it, and so is what is compiled of it.
        told = ("PATH", "HOME", "LANG") if python else ("PATH", "HOME", "LANG", *BYTECODE)
        inherited = {name: os.environ[name] for name in told if name in os.environ}
        self.environment = {
            **inherited,
            "PYTHONPATH": str(folder) if python else f"{folder}:{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "myproject.settings",
        }

    def manage(self, *arguments: str, fails: bool = False) -> str:
        """Run ``manage.py`` and return what it wrote."""
        return self._run(["-m", "django", *arguments], fails=fails)

    def python(self, code: str, fails: bool = False) -> Any:
        """Run code in the project as a process of its own; return what it gives to ``answer``, over JSON."""
        said = self._run(["-c", textwrap.dedent(START) + textwrap.dedent(code)], fails=fails)
        return said if fails else json.loads(said.splitlines()[-1])

    def worker(self, name: str, *arguments: str, app: str = "myproject", ready: bool = True) -> Program:
        """Start a Celery worker and wait until it is ready, or until it is started only."""
        argv = [self.interpreter, "-m", "celery", "-A", app, "worker", "-n", f"{name}@localhost", *arguments]
        lean = ["-l", "INFO"] if "-E" in arguments else ["--without-gossip", "--without-mingle", "-l", "INFO"]
        log = self.folder / f"{name}.log"
        program = Program(name, [*argv, *lean], environment=self.environment, log=log, folder=self.folder)
        try:
            if ready:
                program.wait_for("ready.")
        except AssertionError:
            program.end()
            raise
        return program

    def beat(self, *, app: str = "myproject") -> Program:
        """Start celery-beat on django-celery-beat's tables and wait until it has begun."""
        argv = [self.interpreter, "-m", "celery", "-A", app, "beat", "--pidfile=", "--max-interval", "1", "-l", "INFO"]
        scheduler = ["--scheduler", "django_celery_beat.schedulers:DatabaseScheduler"]
        log = self.folder / "beat.log"
        beat = Program("beat", [*argv, *scheduler], environment=self.environment, log=log, folder=self.folder)
        beat.wait_for("beat: Starting")
        return beat

    def _run(self, arguments: list[str], *, fails: bool) -> str:
        done = subprocess.run(
            [self.interpreter, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = f"{done.stdout}{done.stderr}" if fails or done.returncode else done.stdout
        assert bool(done.returncode) == fails, said
        return said
