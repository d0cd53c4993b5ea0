"""The campaign that everybody looks at, kept in Django's cache: what its page shows, read once for all.

A version stands beside it. Whoever reads takes the version first, and keeps what is read under it; a change makes
another version. So what was read before a change is never shown after it, however slow its reader was. A consumer makes
it, once the change is committed. Nothing is kept for more than a second, so it need not be in a hurry.
"""

import logging
import uuid
from collections.abc import Callable
from typing import Any

from django.core.cache import BaseCache, InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

log = logging.getLogger("awards.sale")

ALIAS = "pages"
KEPT = 1.0
"""Seconds that a page is kept: draws change the stock, and the clock the state, and no message is published for it."""


def cached(campaign_slug: str, read: Callable[[], Any]) -> Any:
    """Return what ``read`` returns, or what it returned for somebody else since the last change."""
    cache = _shared_cache()
    if cache is None:
        return read()
    try:
        version = cache.get_or_set(_version_key(campaign_slug), lambda: uuid.uuid4().hex, timeout=None)
        key = f"awards:page:{campaign_slug}:{version}"
        found = cache.get(key)
        if found is None:
            found = read()
            cache.set(key, found, timeout=KEPT)
        return found
    except Exception as error:  # a cache is a shortcut: without it, everybody reads for himself
        log.warning("the cache of pages does not answer: %s", error)
        return read()


def forget(campaign_slug: str) -> None:
    """Have the page read anew from now on."""
    cache = _shared_cache()
    if cache is not None:
        cache.set(_version_key(campaign_slug), uuid.uuid4().hex, timeout=None)


def _version_key(campaign_slug: str) -> str:
    return f"awards:page:{campaign_slug}"


def _shared_cache() -> BaseCache | None:
    """Return the cache that all processes share; None if there is none, as one of each process would go stale."""
    try:
        cache = caches[ALIAS]
    except InvalidCacheBackendError:
        return None
    return None if isinstance(cache, LocMemCache | DummyCache) else cache
