"""Response headers, and the Content-Security-Policy of the page.

Scripts run only from this server, plus the page's own inline scripts by their hashes: an inline handler that
slipped through every escape would still not run. `unsafe-eval` stays, because Gradio builds the script of an
HTML component from text; inline styles stay, because Gradio's front end sets them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

_INLINE_SCRIPT = re.compile(rb"<script\b(?![^>]*\bsrc\s*=)[^>]*>(.*?)</script>", re.IGNORECASE | re.DOTALL)

SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def policy(scripts: Iterable[bytes] = ()) -> bytes:
    """The policy that allows these inline scripts and no others."""
    hashes = "".join(f" 'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self' 'unsafe-eval'{hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ).encode()


def inline_scripts(page: bytes) -> list[bytes]:
    """What stands in the page's inline scripts."""
    return [match[1] for match in _INLINE_SCRIPT.finditer(page)]
