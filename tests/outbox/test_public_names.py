"""What ``outbox`` itself offers."""

import pkgutil
import re
from importlib import import_module

import pytest

import outbox


def test_all_public_names_are_listed_and_there():
    assert set(outbox.__all__) <= set(dir(outbox))
    assert [name for name in outbox.__all__ if getattr(outbox, name).__name__ != name] == []


@pytest.mark.parametrize("package", ["outbox", "outbox.models", "outbox.admin"])
def test_no_public_name_is_a_submodule_s(package):
    """Importing the submodule would put it in the name's place."""
    offers = import_module(package)

    submodules = {module.name for module in pkgutil.iter_modules(offers.__path__)}

    assert submodules & set(offers.__all__) == set()


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'publsh'"):
        outbox.publsh  # noqa: B018  # read, as a host would misspell it


def test_it_says_its_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", outbox.__version__)
    assert "__version__" in dir(outbox)
