"""Reading what a program has sent: JSON in UTF-8 of a bounded size, or the reason why it cannot be read."""

import json
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from awards.views.problems import Code, Problem

BODY_LIMIT = 4 * 1024


def read_json(request: HttpRequest) -> Any:
    """Return what the body says, or raise the ``Problem``."""
    if "Transfer-Encoding" in request.headers:
        raise Problem(Code.LENGTH_MISSING, _("Send the body with its Content-Length, not in chunks."))
    size = request.META.get("CONTENT_LENGTH") or "0"
    if size.isdecimal() and int(size) > BODY_LIMIT:
        detail = _("The body may have at most %(limit)d bytes.") % {"limit": BODY_LIMIT}
        raise Problem(Code.BODY_TOO_LARGE, detail)
    charset = (request.content_params or {}).get("charset", "utf-8")
    if request.content_type != "application/json" or charset.lower() not in ("utf-8", "utf8"):
        raise Problem(Code.NOT_JSON, _("Send the body as application/json, in UTF-8."))
    return _json(request.body)


def _json(body: bytes) -> Any:
    """Return what the body says; a key given twice is refused, as readers differ on which of the two counts."""
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once_each)
    except UnicodeDecodeError as error:
        raise Problem(Code.NOT_UTF8, _("The body is not UTF-8.")) from error
    except (ValueError, RecursionError) as error:
        raise Problem(Code.MALFORMED_JSON, _("The body is not JSON.")) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(content := dict(pairs)) < len(pairs):
        raise Problem(Code.DUPLICATE_KEY, _("The body gives the same key more than once."))
    return content
