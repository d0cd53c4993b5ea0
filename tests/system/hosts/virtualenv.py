"""An empty virtualenv outside the repository, and what a stranger installs into it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NO_INDEX = "no package index answers here"


@contextmanager
def virtualenv(folder: Path, *requirements: str) -> Iterator[str]:
    """Give the interpreter of a virtualenv that holds the requirements; skip where no index has them."""
    try:
        python = _make(folder)
        _install(python, *requirements)
        yield python
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(python: str, *requirements: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--retries", "1"]
    install = [*pip, "install", "--quiet", "--no-compile", *requirements]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode and "connection broken" in done.stderr:
        pytest.skip(NO_INDEX)
    assert done.returncode == 0, done.stderr


def make_virtualenv_like_ours(folder: Path, wheel: Path) -> str:
    """Return the interpreter of a virtualenv that holds the wheel, and what our own holds; nothing is downloaded."""
    python = _make(folder)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-compile", "--no-deps", "--no-index", wheel], check=True)
    return python


def _make(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return str(folder / "bin" / "python")
