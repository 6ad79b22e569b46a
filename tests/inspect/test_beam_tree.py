"""A search as a page: everything is on it, it can be read without a script, and no token becomes markup."""

from __future__ import annotations

import html
import importlib
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.inspect.beam_layout import Grid, parent_of
from seqloom.inspect.beam_picture import BeamView, beam_svg, figure
from seqloom.inspect.beam_tree import beam_json, beam_page
from seqloom.inspect.labels import visible
from seqloom.search import Candidate, Trace
from seqloom.search.trace import Fate

HOSTILE = ["</script><script>window.pwned=1</script>", '"><svg onload=pwned()>', "&lt;", "\x00", "\u202e", "שלום"]
SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Traces as a search may leave them: of each step some candidates go on, some end, and the rest is pruned."""
    steps: list[tuple[Candidate, ...]] = []
    for t in range(draw(st.integers(1, 5))):
        parents = [k for k, c in enumerate(steps[-1]) if c.fate == "kept"] if steps else [None]
        if not parents:
            break
        step = []
        for _ in range(draw(st.integers(1, 6))):
            parent = draw(st.sampled_from(parents))
            before = 0.0 if parent is None else steps[-1][parent].log_prob
            log_prob = before - draw(st.floats(0, 9))
            fate: Fate = draw(st.sampled_from(["kept", "finished", "pruned"]))
            score = log_prob / ((6 + t) / 6) ** 0.6
            step.append(Candidate(parent, draw(st.integers(0, len(HOSTILE) - 1)), log_prob, score, fate))
        steps.append(tuple(sorted(step, key=lambda candidate: -candidate.log_prob)))
    return Trace(tuple(steps))


def places(trace: Trace) -> list[tuple[int, int]]:
    return [(t, k) for t, step in enumerate(trace.steps) for k in range(len(step))]


# Two steps: "a" leads to two ends, of which the second is the better, and "b" was pruned.
SMALL = Trace(
    (
        (Candidate(None, 5, -0.25, -0.25, "kept"), Candidate(None, 6, -2.5, -2.5, "pruned")),
        (Candidate(0, 1, -1.0, -0.9, "finished"), Candidate(0, 7, -1.5, -1.3, "kept")),
        (Candidate(1, 1, -1.5, -0.7, "finished"),),
    )
)
VIEW = BeamView(SMALL, {1: "</s>", 5: "a", 6: "b", 7: "c"}, title="the source", subtitle="beam 2")


# --- where things stand ----------------------------------------------------------------------------------------------


@given(trace=traces(), pruned=st.booleans())
def test_no_two_candidates_share_a_place_and_no_two_lines_cross(trace: Trace, pruned: bool) -> None:
    grid = Grid.of(trace, shown=lambda candidate: pruned or candidate.fate != "pruned")
    shown = {(t, k) for t, k in places(trace) if pruned or trace.steps[t][k].fate != "pruned"}
    assert {place for column in grid.columns for place in column} == shown
    for t, column in enumerate(grid.columns):
        rows = [grid.rows[place] for place in column]
        assert rows == sorted(set(rows)) and all(0 <= row < grid.height for row in rows)
        assert all(step == t for step, _ in column)
        parents = [grid.rows[parent_of(trace, place)] for place in column]
        assert parents == sorted(parents)


@given(trace=traces())
def test_the_best_path_has_the_first_row_to_itself(trace: Trace) -> None:
    rows = Grid.of(trace, shown=lambda candidate: True).rows
    best = trace.best()
    assert bool(best) == bool(trace.finished())
    if best:
        assert {place for place, row in rows.items() if place and row == 0} == best


# --- the still picture -----------------------------------------------------------------------------------------------


@given(trace=traces())
@settings(max_examples=30)
def test_the_picture_has_a_box_with_token_and_numbers_for_every_candidate(trace: Trace) -> None:
    view = BeamView(trace, dict(enumerate(HOSTILE)), title=HOSTILE[0])
    boxes = {box.get("data-place"): box for box in ElementTree.fromstring(beam_svg(view)).iter(f"{SVG}g")}
    assert set(boxes) == {f"{t}-{k}" for t, k in places(trace)}
    for t, k in places(trace):
        box, candidate = boxes[f"{t}-{k}"], trace.steps[t][k]
        assert box.get("class") == f"node {candidate.fate}" + (" best" if (t, k) in trace.best() else "")
        title, name, numbers = (box.find(f"{SVG}{tag}") for tag in ("title", "text", "text[@class='figures']"))
        assert title is not None and name is not None and numbers is not None
        whole = visible(HOSTILE[candidate.token])
        assert name.text in (whole, whole[:17] + "…")
        assert numbers.text == f"{figure(trace.gain(t, k))} · {figure(candidate.score)}"
        assert f"\u2068{whole}\u2069: {candidate.fate}, " in (title.text or "")


def test_pruned_candidates_can_be_left_out() -> None:
    assert beam_svg(VIEW).count("<g ") == 5
    assert beam_svg(VIEW, pruned=False).count("<g ") == 4
    assert "pruned" not in beam_svg(VIEW, pruned=False)


@pytest.mark.parametrize(
    ("number", "said"), [(-0.004, "0.00"), (0.0, "0.00"), (-1.005, "−1.00"), (-12.346, "−12.35"), (-math.inf, "−inf")]
)
def test_numbers_are_short_and_have_a_real_minus(number: float, said: str) -> None:
    assert figure(number) == said


def test_the_json_has_every_candidate() -> None:
    carried = json.loads(beam_json(VIEW))
    assert carried["finished"] == [[2, 0], [1, 0]]
    assert (carried["title"], carried["subtitle"]) == ("the source", "beam 2")
    assert carried["steps"][1] == [
        {"token": "</s>", "parent": 0, "gain": -0.75, "log_prob": -1.0, "score": -0.9, "fate": "finished"},
        {"token": "c", "parent": 0, "gain": -1.25, "log_prob": -1.5, "score": -1.3, "fate": "kept"},
    ]


# --- the page --------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """The elements, attributes and contents of a page, as a browser's parser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.contents: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_data(self, data: str) -> None:
        self.contents.setdefault(self.open[-1] if self.open else "", []).append(data)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass


@given(trace=traces(), title=st.sampled_from(HOSTILE))
@settings(max_examples=30)
def test_no_token_changes_what_the_page_is_made_of(trace: Trace, title: str) -> None:
    hostile = Reader(beam_page(BeamView(trace, dict(enumerate(HOSTILE)), title=title)))
    harmless = Reader(beam_page(BeamView(trace, dict.fromkeys(range(len(HOSTILE)), "a"), title="b")))
    assert [(tag, sorted(names)) for tag, names in hostile.tags] == [(tag, sorted(n)) for tag, n in harmless.tags]
    assert len(hostile.contents["script"]) == 2


def test_only_its_own_script_and_style_may_run_and_nothing_is_fetched(only: Callable[[str, str], str]) -> None:
    text = beam_page(VIEW)
    reader = Reader(text)
    (policy,) = [names["content"] for tag, names in reader.tags if names.get("http-equiv")]

    script, style = reader.contents["script"][1], reader.contents["style"][0]
    assert policy == only(script, style)
    assert not {name for _, names in reader.tags for name in names} & {"src", "style", "onload", "onerror"}
    assert all((names.get("href") or "#").startswith("#") for _, names in reader.tags)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in script


def test_without_a_script_every_end_is_listed_and_leads_into_the_picture() -> None:
    reader = Reader(beam_page(VIEW))
    links = [names["href"] for tag, names in reader.tags if tag == "a"]
    assert links == ["#all-2-0", "#all-1-0"]
    assert {link[1:] for link in links if link} <= {names.get("id") for _, names in reader.tags}
    assert [said for said in reader.contents["span"] if said in ("a c </s>", "a </s>")] == ["a c </s>", "a </s>"]
    assert [names for _, names in reader.tags if names.get("id") == "chosen"] == [
        {"id": "chosen", "aria-live": "polite", "hidden": None}
    ]


def test_of_many_ends_the_first_are_open_and_the_others_folded() -> None:
    ends = Trace((tuple(Candidate(None, 1, -float(k), -float(k), "finished") for k in range(8)),))
    page = beam_page(BeamView(ends, {}))
    first, folded = page.split("<details>")
    assert (first.count("<li><a"), folded.count("<li><a")) == (5, 3)
    assert "<summary>3 more</summary>" in folded and "<details>" not in beam_page(VIEW)


def test_a_search_without_anything_pruned_offers_nothing_to_hide() -> None:
    kept = Trace(((Candidate(None, 1, -1.0, -1.0, "finished"),),))
    assert 'id="pruned"' in beam_page(VIEW) and 'id="survivors"' in beam_page(VIEW)
    page = beam_page(BeamView(kept, {}))
    assert 'id="pruned"' not in page and 'id="survivors"' not in page
    assert "<h1" in page and ">Beam search</h1>" in page


@pytest.mark.parametrize("trace", [Trace(()), Trace(((),))])
def test_a_search_that_never_was_is_refused(trace: Trace) -> None:
    with pytest.raises(ValueError) as caught:
        beam_page(BeamView(trace, {}))
    assert str(caught.value) == "there is no search to show"


def test_a_long_search_stays_under_two_megabytes() -> None:
    numbers = np.random.default_rng(0)
    steps: list[tuple[Candidate, ...]] = []
    for _ in range(60):
        fates: list[Fate] = ["kept"] * 10 + ["pruned"] * 10
        parents = [None] * 20 if not steps else numbers.integers(0, 10, 20).tolist()
        steps.append(tuple(Candidate(p, 7, -1.0, -1.0, fate) for p, fate in zip(parents, fates, strict=True)))
    assert len(beam_page(BeamView(Trace(tuple(steps)), {7: "steamship"})).encode()) < 2_000_000


# --- in a browser, where there is one --------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE_MODULE = importlib.import_module("seqloom.inspect.beam_tree")


def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: BeamView, question: str) -> object:
    """What an expression comes to in the page, opened in a browser; the question is asked by the page's own script."""
    original = PAGE_MODULE._packaged
    ask = f";document.title = JSON.stringify((() => {{ {question} }})());"
    monkeypatch.setattr(PAGE_MODULE, "_packaged", lambda name: original(name) + (ask if name.endswith(".js") else ""))
    path = tmp_path / "tree.html"
    path.write_text(beam_page(view), encoding="utf-8")
    assert CHROMIUM
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    done = subprocess.run(
        [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,900", "--dump-dom"]
        + [path.as_uri()],
        capture_output=True,
        timeout=90,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout.decode("utf-8"), re.DOTALL)[:1]
    return json.loads(html.unescape(title))


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")
def test_every_candidate_can_be_reached_with_the_keyboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = """
        const answers = [], said = () => [...part("path").children].map((token) => token.textContent).join(" ");
        const press = (key) => {
            document.querySelector("#all .node[tabindex='0']").dispatchEvent(
                new KeyboardEvent("keydown", { key, bubbles: true }));
            answers.push(said());
        };
        answers.push(said(), part("numbers").textContent.includes("finished"));
        for (const key of ["ArrowLeft", "ArrowDown", "ArrowRight", "Home", "ArrowDown", "End"]) press(key);
        part("found").querySelectorAll("a")[1].click();
        answers.push(said(), document.querySelectorAll("#all .node.before").length);
        choose([0, 1], false);
        part("pruned").click();
        answers.push(said(), getComputedStyle(part("all")).display, node(chosen) !== null);
        answers.push(document.documentElement.scrollWidth <= innerWidth, typeof window.pwned);
        return answers;
    """
    names = {1: "</s>", 5: "a", 6: "b", 7: HOSTILE[0]}
    evil = visible(HOSTILE[0])
    assert told(tmp_path, monkeypatch, BeamView(SMALL, names, title=HOSTILE[1]), question) == [
        f"a {evil} </s>",
        True,
        f"a {evil}",
        "a </s>",
        "a </s>",  # nothing came of it
        "a",
        "b",
        f"a {evil} </s>",
        "a </s>",
        1,
        "a",
        "none",
        True,
        True,
        "undefined",
    ]
