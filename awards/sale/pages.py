"""The campaign that everybody looks at, kept in Django's cache: what its page shows, read once for all.

A version stands beside it. Whoever reads takes the version first, and keeps what is read under it; a change makes
another version. So what was read before a change is never shown after it, however slow its reader was. A consumer makes
it, once the change is committed. Nothing is kept for more than a second, so it need not be in a hurry.
"""

import logging
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import BaseCache, InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

log = logging.getLogger("awards.sale")

ALIAS = "pages"
KEPT = 1.0
"""Seconds that a page is kept: draws change the stock, and the clock the state, and no message is published for it."""
VERSION_KEPT = 60
"""Seconds that a version is kept: longer than anybody reads, so that no campaign that is gone leaves one behind."""
Found = TypeVar("Found")


def cached(campaign_slug: str, read: Callable[[], Found | None]) -> Found | None:
    """Return what ``read`` returns, or what it returned for somebody else since the last change.

    None, where there is no such campaign, is not kept: any number of names can be made up.
    """
    cache = _shared_cache()
    if cache is None:
        return read()
    try:
        version, kept = _look_up(cache, campaign_slug)
    except Exception as error:  # a cache is a shortcut: without it, everybody reads for himself
        log.warning("the cache of pages does not answer: %s", error)
        return read()
    found: Found | None = kept
    if found is None:
        found = read()
        if found is not None:
            _keep(cache, campaign_slug, version, found)
    return found


def forget(campaign_slug: str) -> None:
    """Have the page read anew from now on."""
    cache = _shared_cache()
    if cache is not None:
        cache.set(_version_key(campaign_slug), uuid.uuid4().hex, timeout=VERSION_KEPT)


def _look_up(cache: BaseCache, campaign_slug: str) -> tuple[str | None, Any]:
    """Return the version, and what is kept under it; None for what there is not."""
    version = cache.get(_version_key(campaign_slug))
    return version, None if version is None else cache.get(_key(campaign_slug, version))


def _keep(cache: BaseCache, campaign_slug: str, version: str | None, found: object) -> None:
    """Keep what was read under the version that stood before. If there was none, make one, unless a change has."""
    try:
        if version is None:
            version = uuid.uuid4().hex
            if not cache.add(_version_key(campaign_slug), version, timeout=VERSION_KEPT):
                return
        cache.set(_key(campaign_slug, version), found, timeout=KEPT)
    except Exception as error:  # the next one reads for himself
        log.warning("the cache of pages keeps nothing: %s", error)


def _key(campaign_slug: str, version: str) -> str:
    return f"awards:page:{campaign_slug}:{version}"


def _version_key(campaign_slug: str) -> str:
    return f"awards:page:{campaign_slug}"


def _shared_cache() -> BaseCache | None:
    """Return the cache that all processes share; None if there is none, as one of each process would go stale."""
    try:
        cache = caches[ALIAS]
    except InvalidCacheBackendError:
        return None
    return None if isinstance(cache, LocMemCache | DummyCache) else cache
