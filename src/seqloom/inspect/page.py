"""Attention as one HTML file that opens offline and in which nothing but its own script can run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from seqloom.inspect.attention import AttentionView, Kind
from seqloom.inspect.labels import visible, visible_line
from seqloom.inspect.picture import svg

_EXPLANATIONS = {
    "source": "Each row is one target token; the darker a cell, the more the model looked at that source token "
    "to choose it.",
    "encoder": "Each row is one source token; the darker a cell, the more its encoding drew on that source token.",
    "decoder": "Each row is one target token; the darker a cell, the more the model looked back at that earlier token "
    "to choose it.",
}


def page(views: Sequence[AttentionView], *, kind: Kind = "source", title: str = "") -> str:
    """One HTML file about the hypotheses of one sentence, the best first; it loads nothing and works without a script.

    `title` is the heading, by default that of the first view.  Tokens and titles may be anything: they are carried as
    data that can't run, and shown as text.  Raises ValueError if there is no view.
    """
    if not views:
        raise ValueError("there is no attention to show")
    script, style = _packaged("page.js"), _packaged("page.css")
    heading = visible_line(title or views[0].title) or "Attention"
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
<main>
<header>
<h1 dir="auto">{escape(heading)}</h1>
<p class="faint">{_EXPLANATIONS[kind]}</p>
</header>
<figure id="still">
{svg(views[0])}</figure>
<div id="live" hidden>
<fieldset id="hypotheses"><legend>Hypotheses, best first</legend></fieldset>
<section class="reading" aria-label="Reading">
<h2>Source</h2>
<div id="source"></div>
<h2 id="target-name">Target <span class="hint">point, or use the arrow keys</span></h2>
<div id="target" role="radiogroup" aria-labelledby="target-name"></div>
</section>
<div id="choices">
<label>Layer <select id="layer"></select></label>
<label>Head <select id="head"></select></label>
</div>
<div class="columns">
<div id="map" role="region" aria-label="Heat map" tabindex="0"></div>
<aside aria-label="Numbers">
<p id="cell" class="faint"></p>
<h2 id="numbers-name"></h2>
<ol id="numbers" aria-live="polite"></ol>
</aside>
</div>
<section id="all"><h2>All heads</h2></section>
</div>
</main>
<script type="application/json" id="data">{_inert(_data(views, kind))}</script>
<script>{script}</script>
</body>
</html>
"""


def _data(views: Sequence[AttentionView], kind: Kind) -> dict[str, Any]:
    return {
        "kind": kind,
        "views": [
            {
                "title": visible_line(view.title),
                "subtitle": visible_line(view.subtitle),
                "source": [visible(token) for token in view.source],
                "target": [visible(token) for token in view.target],
                "layers": [visible_line(name) for name in view.names],
                "shape": list(np.shape(view.weights)),
                "weights": _packed(view),
            }
            for view in views
        ],
    }


def _packed(view: AttentionView) -> str:
    """The weights [L, H, T, S] in steps of 1/65535, little-endian 16-bit numbers in base64: a third of JSON."""
    steps = np.clip(np.asarray(view.weights, dtype=np.float64), 0, 1) * 65535
    return base64.b64encode(steps.round().astype("<u2").tobytes()).decode("ascii")


def _inert(value: dict[str, Any]) -> str:
    """JSON in which no character means anything to an HTML parser."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII only
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _packaged(name: str) -> str:
    return resources.files("seqloom.inspect").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
