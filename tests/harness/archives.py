"""The wheel and the sdist, as a release has them, built from the working tree in a second."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.program import ROOT


def build_archives(folder: Path) -> tuple[Path, Path]:
    """Build both into the folder and return the wheel and the sdist; nothing is downloaded for it."""
    pytest.importorskip("hatchling", reason="hatchling is not installed here; it is in tests/requirements.txt")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist
