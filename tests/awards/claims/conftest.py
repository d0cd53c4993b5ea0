"""No hint is sent, static files are plain, and there is a vendor, as in the other tests of the awards."""

from tests.awards.conftest import no_hints, plain_static_files, vendor

__all__ = ["no_hints", "plain_static_files", "vendor"]
