"""A browser, and the desk's consumers, people and plain static files."""

from tests.harness.browsing import browser, open_page
from tests.harness.desk import consumers, desk, hints, lead, plain_static_files, viewer

__all__ = ["browser", "consumers", "desk", "hints", "lead", "open_page", "plain_static_files", "viewer"]
