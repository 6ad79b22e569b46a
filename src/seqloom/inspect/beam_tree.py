"""A beam search as one HTML file that opens offline and in which nothing but its own script can run."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from seqloom.inspect.beam_layout import Place
from seqloom.inspect.beam_picture import BeamView, beam_svg, figure
from seqloom.inspect.document import document, inert
from seqloom.inspect.document import packaged as _packaged
from seqloom.inspect.labels import visible_line

FIRST = 5  # hypotheses that are listed at once
_FATES = {
    "kept": "kept, and extended",
    "finished": "finished: a whole hypothesis",
    "pruned": "pruned: went no further",
}


def beam_page(view: BeamView) -> str:
    """One HTML file about one search: every step's candidates as a tree, and what was finished as a list.

    Without a script everything can be seen; with it a candidate can be chosen, also by key, to see how it came about.
    Tokens and titles may be anything: they are shown as text.  Raises ValueError if the trace has no candidate.
    """
    if not any(view.trace.steps):
        raise ValueError("there is no search to show")
    heading = visible_line(view.title) or "Beam search"
    fates: set[str] = {candidate.fate for step in view.trace.steps for candidate in step}
    body = f"""<main>
<header>
<h1 dir="auto">{escape(heading)}</h1>
<p class="faint">{escape(_subtitle(view))}</p>
</header>
<section>
<h2>Finished, best first</h2>
<div id="found">
{_found(view)}</div>
</section>
<section id="search">
<h2>Search <span class="hint" id="hint">time runs to the right, the best path is on top</span></h2>
{_key(fates)}
<div id="trees" role="region" aria-label="The search as a tree" tabindex="0">
<div id="all">{beam_svg(view, prefix="all")}</div>
{_survivors(view, fates)}</div>
</section>
<section id="chosen" aria-live="polite" hidden>
<h2>Chosen
<span class="hint">point, or use the arrow keys: left to what was extended, right to what came of it</span></h2>
<div id="path"></div>
<dl id="numbers"></dl>
</section>
</main>
<script type="application/json" id="data">{inert(_data(view))}</script>"""
    style = _packaged("base.css") + _packaged("beam_tree.css")
    return document(heading, body, script=_packaged("beam_tree.js"), style=style)


def beam_json(view: BeamView) -> str:
    """The search as JSON: for each step its candidates, the most likely first."""
    return json.dumps({"title": view.title, "subtitle": view.subtitle, **_data(view)})


def _data(view: BeamView) -> dict[str, Any]:
    steps = [
        [
            {
                "token": view.name((t, k)),
                "parent": candidate.parent,
                "gain": round(view.trace.gain(t, k), 5),
                "log_prob": round(candidate.log_prob, 5),
                "score": round(candidate.score, 5),
                "fate": candidate.fate,
            }
            for k, candidate in enumerate(step)
        ]
        for t, step in enumerate(view.trace.steps)
    ]
    return {"steps": steps, "finished": view.trace.finished()}


def _subtitle(view: BeamView) -> str:
    candidates = sum(map(len, view.trace.steps))
    counted = f"{len(view.trace.steps)} steps, {candidates} candidates"
    return " · ".join(filter(None, [visible_line(view.subtitle), counted]))


def _found(view: BeamView) -> str:
    """A list entry for each finished hypothesis, which leads to its end in the picture; the first few are open."""
    entries = [_entry(view, end) for end in view.trace.finished()]
    first, rest = entries[:FIRST], entries[FIRST:]
    more = f"<details><summary>{len(rest)} more</summary>\n<ol>\n{''.join(rest)}</ol>\n</details>\n" if rest else ""
    return f"<ol>\n{''.join(first)}</ol>\n{more}"


def _entry(view: BeamView, end: Place) -> str:
    candidate = view.trace.steps[end[0]][end[1]]
    tokens = [view.name(place) for place in view.trace.path(*end)][::-1]
    return (
        f'<li><a href="#all-{end[0]}-{end[1]}" data-place="{end[0]}-{end[1]}"><span dir="auto">'
        f"{escape(' '.join(tokens))}</span></a>"
        f'<span class="faint">score {figure(candidate.score)}, log-probability {figure(candidate.log_prob)}</span>'
        "</li>\n"
    )


def _key(fates: set[str]) -> str:
    """What the signs mean, and whether to show what was pruned; a box to tick that works without a script."""
    choice = (
        '<input type="checkbox" id="pruned" checked><label for="pruned">show what was pruned</label>\n'
        if "pruned" in fates
        else ""
    )
    signs = "".join(f'<li><i class="sign {fate}"></i>{said}</li>' for fate, said in _FATES.items() if fate in fates)
    box = "<li>in each box: token; its log-probability · score so far</li>"
    return f'{choice}<ul id="key"><li><i class="sign best"></i>the best path</li>{signs}{box}</ul>'


def _survivors(view: BeamView, fates: set[str]) -> str:
    if "pruned" not in fates:
        return ""
    return f'<div id="survivors">{beam_svg(view, pruned=False, prefix="survivors")}</div>\n'
