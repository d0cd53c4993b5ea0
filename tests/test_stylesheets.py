"""What `make styles` finds in a stylesheet beside what deno finds."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1] / ".ci"


@pytest.fixture(scope="module")
def checking():
    spec = spec_from_file_location("checking", HOME / "stylesheets.py")
    module = module_from_spec(spec)
    sys.modules["checking"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def known(checking, tmp_path):
    (tmp_path / "page.html").write_text('<p class="card tone-{{ tone }}">')
    (tmp_path / "site.css").write_text(":root { --ink: #123; }")
    (tmp_path / "draw.js").write_text('piece.style.setProperty("--drift", "1px");')
    return checking.read_known([tmp_path])


@pytest.mark.parametrize(
    ("css", "fault"),
    [
        (".card { color red; }", ""),  # in tinycss2's own words
        (".card { color: red; color: blue; }", "color is set twice in one rule"),
        (".card { color: var(--inck); }", "nobody defines --inck"),
        ("p:not(.crad) { color: red; }", "nothing has the class crad"),
        ("@media print { .crad { color: red; } }", "nothing has the class crad"),
    ],
)
def test_a_fault_is_found(checking, known, css, fault):
    faults = [said for _line, said in checking.faults_of(css, known)]

    assert len(faults) == 1
    assert fault in faults[0]


def test_what_stands_for_something_is_no_fault(checking, known):
    css = ".card.tone-bad { color: var(--ink); margin: var(--drift); } @keyframes fall { to { opacity: 0; } }"

    assert list(checking.faults_of(css, known)) == []
