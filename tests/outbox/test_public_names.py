"""What ``outbox`` itself offers."""

import outbox


def test_all_public_names_are_listed_and_there():
    assert set(outbox.__all__) <= set(dir(outbox))
    assert [name for name in outbox.__all__ if getattr(outbox, name).__name__ != name] == []


def test_it_says_its_version():
    assert outbox.__version__ == "0.1.0.dev0"
    assert "__version__" in dir(outbox)
