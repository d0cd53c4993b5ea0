"""What people see whose draw came too fast: a page that needs no template, no style sheet, no script and no session.

It sends nothing again by itself. Whoever reloads it sends the same request, which is one draw; the page that the link
leads to begins another. The link keeps that by which somebody has come, if the browser says it.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

STYLE = (
    ":root{color-scheme:light dark}"
    "body{max-width:42rem;margin:0 auto;padding:1.25rem;background:#f5f3ee;color:#1c2430;"
    'font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","PingFang SC","Noto Sans CJK SC",'
    "sans-serif}"
    "a{color:#0b6e5f}.brand{color:inherit;font-weight:650;text-decoration:none}"
    "h1,h2{margin:2rem 0 .75rem;font-size:1.75rem;line-height:1.2}h2{font-size:1.25rem}"
    ".back{display:inline-block;padding:.7rem 1.2rem;border-radius:9px;background:#0b6e5f;color:#fff;font-weight:650;"
    "text-decoration:none}"
    "a:focus-visible{outline:3px solid #0b6e5f;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){body{background:#14171c;color:#ebe8e1}.back{background:#62d3bc;color:#06231e}"
    "a:focus-visible{outline-color:#62d3bc}}"
)
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src 'self'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>Please try again · Makegood</title><style>{STYLE}</style></head>"
    '<body><header><a class="brand" href="%(home)s">Makegood</a></header><main>'
    "<h1>Please try again in %(seconds)d %(unit)s</h1>"
    "<p>Too many people are drawing at this moment. This try was not let in, and used up nothing.</p>"
    "<p><strong>Then reload this page, and let it be sent again</strong>: it is the same draw, however often.</p>"
    '<p><a class="back" href="%(back)s">To the raffle</a></p>'
    '<section lang="zh-Hans"><h2>请在 %(seconds)d 秒后重试</h2>'
    "<p>此刻抽奖的人太多。这一次未被受理，也没有用掉抽奖机会。</p>"
    "<p><strong>届时请刷新本页，并允许重新提交</strong>：无论提交多少次，都是同一次抽奖。</p>"
    '<p><a class="back" href="%(back)s">前往抽奖</a></p></section></main></body></html>'
)


def page_for(environ: Mapping[str, Any], seconds: int) -> bytes:
    """Return the page for who drew too fast at the address of ``environ``, and may again in ``seconds``."""
    root = quote(str(environ.get("SCRIPT_NAME", "")), safe="/", encoding="latin-1")
    path = str(environ.get("PATH_INFO", ""))
    came_from = _referrer(environ)
    address = f"{root}{quote(path, safe='/', encoding='latin-1')}"
    query = f"?{came_from.query}" if came_from.query and came_from.path == address else ""
    words = {
        "home": escape(f"{root}/"),
        "back": escape(address + query),
        "seconds": seconds,
        "unit": "second" if seconds == 1 else "seconds",
    }
    return (PAGE % words).encode(errors="replace")


def _referrer(environ: Mapping[str, Any]) -> SplitResult:
    """Return where the browser says that it came from; an empty address where that is none."""
    try:
        return urlsplit(str(environ.get("HTTP_REFERER", "")))
    except ValueError:
        return urlsplit("")
