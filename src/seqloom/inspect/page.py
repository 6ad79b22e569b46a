"""Attention as one HTML file that opens offline and in which nothing but its own script can run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from seqloom.inspect.attention import AttentionView, Kind
from seqloom.inspect.document import document, inert
from seqloom.inspect.document import packaged as _packaged
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
    heading = visible_line(title or views[0].title) or "Attention"
    body = f"""<main>
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
<script type="application/json" id="data">{inert(_data(views, kind))}</script>"""
    return document(heading, body, script=_packaged("page.js"), style=_packaged("base.css") + _packaged("page.css"))


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
