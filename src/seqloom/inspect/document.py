"""The frame of a page that opens offline and in which nothing but its own script can run."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import resources
from typing import Any


def document(heading: str, body: str, *, script: str, style: str) -> str:
    """A whole HTML file; `heading` is text, `body` is markup, and a policy lets this script and style alone work."""
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(heading)}</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def packaged(name: str) -> str:
    """A script or a style sheet of this package."""
    return resources.files("seqloom.inspect").joinpath(name).read_text(encoding="utf-8")


def inert(value: dict[str, Any]) -> str:
    """JSON in which no character means anything to an HTML parser."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII only
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
