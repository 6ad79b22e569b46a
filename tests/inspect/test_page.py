"""The page holds everything it needs, lets nothing but its own script run, and works with and without it."""

from __future__ import annotations

import base64
import html
import importlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.inspect import AttentionView, page
from seqloom.inspect.labels import visible

HOSTILE = [
    "</script><script>window.pwned=1</script>",
    '<img src=x onerror="window.pwned=1">',
    '"><svg onload=window.pwned=1>',
    "</style></title><!--",
    "\u2028",
    "\x00",
    "\u202eevil",
    "\ud800",
    "&lt;b&gt;",
    "שלום",
    "😀",
]
TEXTS = st.text(st.characters(), max_size=5) | st.sampled_from(HOSTILE)
TOKENS = st.lists(TEXTS, min_size=1, max_size=4)
PAGE_MODULE = importlib.import_module("seqloom.inspect.page")  # the package's own `page` is the function


class Reader(HTMLParser):
    """The elements, attributes and inline contents of a page, as a browser's parser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.contents: dict[str, list[str]] = {"script": [], "style": [], "h1": [], "title": []}
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_data(self, data: str) -> None:
        self.contents.get(self.open, []).append(data)

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def attribute(self, tag: str, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for found, attributes in self.tags if found == tag and (value := attributes.get(name))]


def view(source: list[str], target: list[str], title: str = "", *, layers: int = 2, heads: int = 3) -> AttentionView:
    """A view in which every row is a distribution."""
    weights = np.random.default_rng(1).random((layers, heads, len(target), len(source))) ** 4 + 1e-6
    return AttentionView(source, target, weights / weights.sum(-1, keepdims=True), title, "beam 4, score -0.31")


def unpacked(text: str) -> list[AttentionView]:
    """The views that a page carries, read as its script reads them."""
    (carried,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return [
        AttentionView(
            one["source"],
            one["target"],
            np.frombuffer(base64.b64decode(one["weights"]), "<u2").reshape(one["shape"]) / 65535,
            one["title"],
            one["subtitle"],
            one["layers"],
        )
        for one in json.loads(carried)["views"]
    ]


@given(source=TOKENS, target=TOKENS, title=TEXTS)
@settings(deadline=None, max_examples=60)
def test_no_token_changes_what_the_page_is_made_of(source: list[str], target: list[str], title: str) -> None:
    hostile = Reader(page([view(source, target, title)]))
    harmless = Reader(page([view(["a"] * len(source), ["b"] * len(target), "c")]))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert [sorted(attributes) for tag, attributes in hostile.tags if tag != "text"] == [
        sorted(attributes) for tag, attributes in harmless.tags if tag != "text"
    ]
    assert len(hostile.contents["script"]) == 2


@given(source=TOKENS, target=TOKENS)
@settings(deadline=None, max_examples=40)
def test_the_page_carries_every_token_and_weight(source: list[str], target: list[str]) -> None:
    views = [view(source, target, "first"), view(source[:1], target[:1], "second", layers=1, heads=1)]
    for sent, carried in zip(views, unpacked(page(views)), strict=True):
        assert carried.source == [visible(token) for token in sent.source]
        assert carried.target == [visible(token) for token in sent.target]
        assert (carried.title, carried.subtitle) == (sent.title, sent.subtitle)
        assert np.allclose(carried.weights, sent.weights, atol=1e-5)


def test_only_its_own_script_and_style_may_run_and_nothing_is_fetched(only: Callable[[str, str], str]) -> None:
    text = page([view(HOSTILE, HOSTILE, HOSTILE[0])])
    reader = Reader(text)
    policy = reader.attribute("meta", "content")[0]

    script, style = reader.contents["script"][1], reader.contents["style"][0]
    assert policy == only(script, style)
    names = {name for _, attributes in reader.tags for name in attributes}
    assert not names & {"src", "href", "style", "onload", "onerror"}
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in script


def test_without_a_script_the_mean_is_seen_and_the_controls_are_not() -> None:
    text = page([view(["ein", "Hund"], ["a", "dog"])])
    reader = Reader(text)
    assert text.index('<figure id="still">') < text.index("<svg") < text.index("<script")
    assert [attributes for tag, attributes in reader.tags if attributes.get("id") == "live"] == [
        {"id": "live", "hidden": None}
    ]


def test_the_heading_is_the_title_or_that_of_the_best_hypothesis() -> None:
    views = [view(["a"], ["b"], "the  best\u202e"), view(["a"], ["b"], "second")]
    assert Reader(page(views)).contents["h1"] == ["the best⟨RLO⟩"]
    assert Reader(page(views, title="<b>")).contents["h1"] == ["<b>"]
    assert Reader(page([view(["a"], ["b"])])).contents["title"][0] == "Attention"


def test_a_beam_of_large_pictures_stays_under_two_megabytes() -> None:
    large = view(["Donaudampf"] * 50, ["steamship"] * 50, layers=6, heads=8)
    assert len(page([large] * 5).encode()) < 2_000_000


def test_no_view_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        page([])
    assert str(caught.value) == "there is no attention to show"


# --- in a browser, where there is one ------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")


def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: list[AttentionView], question: str) -> object:
    """What an expression comes to in the page, opened in a browser; the question is asked by the page's own script."""
    original = PAGE_MODULE._packaged
    ask = f";document.title = JSON.stringify((() => {{ {question} }})());"
    monkeypatch.setattr(PAGE_MODULE, "_packaged", lambda name: original(name) + (ask if name.endswith(".js") else ""))
    path = tmp_path / "page.html"
    path.write_text(page(views), encoding="utf-8")
    assert CHROMIUM
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *flags, profile, "--window-size=900,900", "--dump-dom", path.as_uri()],
        capture_output=True,
        timeout=90,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout.decode("utf-8"), re.DOTALL)[:1]
    return json.loads(html.unescape(title))


@needs_chromium
def test_hostile_tokens_are_shown_and_do_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = """
        const chips = [...document.querySelectorAll("#source .token")].map((chip) => chip.textContent);
        return [typeof window.pwned, document.images.length, document.scripts.length, chips];
    """
    answer = told(tmp_path, monkeypatch, [view(HOSTILE, HOSTILE, HOSTILE[0])], question)
    assert answer == ["undefined", 0, 2, [visible(token) for token in HOSTILE]]


@needs_chromium
def test_everything_can_be_reached_with_the_keyboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = [view([*"abcd"], [*"xyz"], "one"), view([*"abcd"], [*"uvwxy"], "two", layers=1, heads=1)]
    question = """
        const answers = [], key = (name) => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: name, bubbles: true }));
        document.querySelector("#target [tabindex='0']").focus();
        key("ArrowRight");
        answers.push(document.activeElement.textContent, document.querySelectorAll("#target [tabindex='0']").length);
        key("End"); answers.push(document.activeElement.textContent, part("numbers-name").textContent);
        key("ArrowRight"); answers.push(document.activeElement.textContent);
        document.querySelectorAll("#all button")[4].click();
        answers.push(part("layer").value, part("head").value, map.cells.length);
        answers.push(Number(document.querySelector("#numbers b").textContent));
        document.querySelectorAll("#hypotheses input")[1].click();
        answers.push(part("target").children.length, part("choices").hidden, part("all").hidden);
        return answers;
    """
    largest = round(float(views[0].weights[1, 1, 0].max()), 3)
    answer = told(tmp_path, monkeypatch, views, question)
    assert answer == ["y", 1, "z", "z looks at", "x", "1", "1", 12, largest, 5, True, True]


@needs_chromium
def test_pointing_at_a_cell_says_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = view([*"abcd"], [*"xyz"])
    question = """
        const box = document.querySelector("#map svg").getBoundingClientRect();
        const clientX = box.left + map.left + 3.5 * map.cell, clientY = box.top + map.top + 1.5 * map.cell;
        part("map").dispatchEvent(new PointerEvent("pointermove", { clientX, clientY }));
        const checked = document.querySelector("#target [aria-checked='true']").textContent;
        return [part("cell").textContent, checked, document.documentElement.scrollWidth <= innerWidth];
    """
    answer = told(tmp_path, monkeypatch, [one], question)
    assert answer == [f"\u2068y\u2069 → \u2068d\u2069: {one.matrix()[1, 3]:.3f}", "y", True]
