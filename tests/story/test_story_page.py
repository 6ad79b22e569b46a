"""The page shows what happened, lets nothing but its own script run, stays small, and is made quickly."""

from __future__ import annotations

import html
import importlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.inspect.labels import visible
from seqloom.story import Record, page
from seqloom.story.charts import charts

from .conftest import FACTS, REPORT, START, trained, validated

PAGE_MODULE = importlib.import_module("seqloom.story.page")
HOSTILE = [
    "</script><script>window.pwned=1</script>",
    '<img src=x onerror="window.pwned=1">',
    '"><svg onload=window.pwned=1>',
    "</style></title><!--",
    "\u2028",
    "\x00",
    "\u202eevil",
    "&lt;b&gt;",
    "שלום",
    "😀",
]


class Reader(HTMLParser):
    """The elements, attributes, texts and inline contents of a page, as a browser's parser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.contents: dict[str, list[str]] = {"script": [], "style": []}
        self.texts: list[str] = []
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_data(self, data: str) -> None:
        self.contents.get(self.open, self.texts).append(data)

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    @property
    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def lines(text: str = "b a", steps: int = 4) -> list[dict[str, Any]]:
    """A whole training in which the model says this."""
    found: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        found.append(trained(step))
        if step % 2 == 0:
            found.append(validated(step, best=step == 2, examples=[(text, text, text)]))
    return [*found, {"event": "skipped", "step": 3, "gradient_norm": None}]


def made(lines: list[dict[str, Any]], facts: dict[str, Any] = FACTS, name: str = "run") -> str:
    config = (
        "data: {train: {source: train.en, target: train.de}}\ntrain: {steps: 8, keep_best: bleu, label_smoothing: 0.1}"
    )
    return page(Record(Path("runs") / name, config, facts, lines))


def test_the_page_says_how_it_went() -> None:
    said = Reader(made(lines())).said
    for sentence in (
        "12,345 parameters; step 4 of 8",
        "2 BLEU, best at step 2",
        "1.33 validation loss there",
        "8 s spent on it",
        "1 update left out",
        "The training loss is label-smoothed and has dropout; the validation loss has neither.",
        "2 to 4 b a",
        "nrefs:1|case:mixed|tok:13a|version:2.6.0",
        "train.en, train.de",
        "200 pairs 1,000 1,000 0.00 % 2.50 %",
        "Vocabulary: 12 source and 13 target symbols.",
        "A processor; 2 of 4 cores; 16 GiB of memory",
        "python 3.11.2, seqloom 1.0, torch 2.13.0",
        "2026-01-02 03:04:05 UTC at step 0",
        "seqloom translate runs/run < FILE",
    ):
        assert sentence in said, sentence


def test_every_measure_has_its_chart_and_families_share_one(record: Callable[..., Record]) -> None:
    numbers = {"bleu.<2de>": 3.0, "bleu.<2fr>": 4.0, "teacher_forced.bleu": 9.0, "chrf": 5.0}
    found = charts(record([trained(1), validated(2, **numbers)]))
    assert [chart.title for chart in found] == ["Loss", "BLEU", "chrF", "Learning rate", "Gradient norm", "Speed"]
    assert [curve.name for curve in found[0].curves] == ["training", "validation"]
    assert {curve.name for curve in found[1].curves} == {"validation", "<2de>", "<2fr>", "teacher-forced"}
    assert all(chart.steps == (0, 2) for chart in found)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.sampled_from(HOSTILE))
def test_no_text_changes_what_the_page_is_made_of(text: str) -> None:
    facts = FACTS | {"training": [REPORT | {"said": text}], "starts": [START | {"device": text}]}

    def attributes(page: str) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(names)) for tag, names in Reader(page).tags if tag != "b"]

    hostile, harmless = made(lines(text), facts, re.sub("[/\0]", "", text)), made(lines("word"), FACTS)
    assert [tag for tag, _ in attributes(hostile) if tag != "span"] == [
        tag for tag, _ in attributes(harmless) if tag != "span"
    ]
    assert len(Reader(hostile).contents["script"]) == 2
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", hostile)


def test_only_its_own_script_and_style_may_run_and_nothing_is_fetched(only: Callable[[str, str], str]) -> None:
    text = made(lines(HOSTILE[0]))
    reader = Reader(text)
    policy = next(attributes["content"] for tag, attributes in reader.tags if "http-equiv" in attributes)
    assert policy == only(reader.contents["script"][1], reader.contents["style"][0])
    names = {name for _, attributes in reader.tags for name in attributes}
    assert not names & {"src", "href", "style", "onload", "onerror"}
    assert "http" not in text.replace("http-equiv", "")
    assert "innerHTML" not in reader.contents["script"][1]


def test_a_thousand_points_are_small_and_quick(run: Callable[..., Path]) -> None:
    many = [trained(step) for step in range(1, 1001)]
    many += [validated(step, examples=[("a " * 20, f"{step} " * 20, "b " * 20)] * 3) for step in range(10, 1001, 10)]
    directory = run(sorted(many, key=lambda line: line["step"]))
    seconds, text = [], ""
    for _ in range(3):
        started = time.process_time()
        text = page(Record.read(directory))
        seconds.append(time.process_time() - started)
    assert len(text.encode()) < 200_000
    assert min(seconds) < 0.5, "about 0.1 on an idle machine"


def test_a_hundred_times_as_many_points_do_not_make_it_larger() -> None:
    sizes = [len(made([trained(step) for step in range(1, steps + 1)])) for steps in (1_000, 20_000)]
    assert sizes[1] < 1.3 * sizes[0]


# In a browser, where there is one

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")
def test_in_a_browser_curves_answer_and_hostile_text_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = """
        const plot = figures[0].plot, box = plot.getBoundingClientRect(), said = [];
        const keys = () => [...figures[0].element.querySelectorAll(".key b")].map((value) => value.textContent);
        said.push(keys());
        plot.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width * 0.5, clientY: box.top }));
        said.push(keys(), figures[1].at.textContent);
        plot.dispatchEvent(new PointerEvent("pointerleave"));
        said.push(keys());
        figures[0].element.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
        said.push(figures[0].at.textContent);
        const shown = document.querySelector("#samples .given dd").textContent;
        return [said, shown, typeof window.pwned, document.images.length, document.scripts.length,
                document.documentElement.scrollWidth <= innerWidth];
    """
    original = PAGE_MODULE._packaged
    ask = f";document.title = JSON.stringify((() => {{ {question} }})());"
    monkeypatch.setattr(PAGE_MODULE, "_packaged", lambda name: original(name) + (ask if name.endswith(".js") else ""))
    hostile = "".join(HOSTILE[:4]) + "wide" * 50
    (path := tmp_path / "page.html").write_text(made(lines(hostile)), encoding="utf8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    where = [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,900", "--dump-dom", path.as_uri()]
    assert CHROMIUM
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([CHROMIUM, *flags, *where], capture_output=True, timeout=120, env=environment)
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout.decode("utf8"), re.DOTALL)[:1]
    last, middle = ["1.60", "0.8"], ["2.67", "1.33"]
    shown = " ".join(map(visible, hostile.split()))
    answer = [[last, middle, "step 2", last, "step 1"], shown, "undefined", 0, 2, True]
    assert json.loads(html.unescape(title)) == answer
