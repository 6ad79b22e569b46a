"""What every page must say of itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest


@pytest.fixture
def only() -> Callable[[str, str], str]:
    """The policy under which this script and this style, and nothing else, may be used."""

    def digest(content: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return lambda script, style: (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
