"""A consumer for messages to wait for."""

import pytest


@pytest.fixture
def till(listen):
    return listen()
