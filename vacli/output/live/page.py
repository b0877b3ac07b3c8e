"""The web page of a live run: one file with its script and style, whose hashes its policy allows."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources

TEMPLATES = "templates"
POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def live_page(source: str) -> tuple[bytes, str]:
    """The page as UTF-8, and its Content-Security-Policy. source: the name that it shows."""
    script, style = _asset("live.js"), _asset("live.css")
    page = (
        _asset("live.html")
        .replace("@style@", style)
        .replace("@script@", script)
        .replace("@source@", escape(source))
    )
    return page.encode("utf-8", "replace"), POLICY.format(script=_hash(script), style=_hash(style))


def _asset(name: str) -> str:
    return (resources.files(__package__) / TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
