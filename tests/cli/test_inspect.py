"""`seqloom inspect`: a picture, a page or the numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest


def test_a_page_that_needs_nothing_else(seqloom: Any, trained: Path) -> None:
    result = seqloom("inspect", trained, "a b c")
    assert (result.code, result.err) == (0, "seqloom: wrote attention.html\n")
    assert result.out == seqloom("translate", trained, input=b"a b c\n").out
    page = (seqloom.folder / "attention.html").read_text("utf8")
    assert "<svg" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)


def test_a_picture(seqloom: Any, trained: Path) -> None:
    assert seqloom("inspect", trained, "a b c", "-o", "picture.SVG", "--beam-size", "1").code == 0
    assert ElementTree.parse(seqloom.folder / "picture.SVG").getroot().tag.endswith("svg")


def test_the_numbers(seqloom: Any, trained: Path) -> None:
    assert seqloom("inspect", trained, "a b c", "-o", "numbers.json", "--beam-size", "4").code == 0
    views = json.loads((seqloom.folder / "numbers.json").read_text())["views"]
    assert 1 < len(views) <= 4
    for view in views:
        assert view["source"] == ["a", "b", "c", "</s>"]
        for row in view["weights"][0][0]:
            assert sum(row) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (["a b", "-o", "page.pdf"], 2, "page.pdf: inspect writes .html, .svg and .json files"),
        (["  "], 2, "the text is empty: there is nothing to look at"),
        (["a b", "--beam-size", "0"], 2, "beam_size must be at least 1, got 0"),
        (["a b", "-o", "no/page.html"], 1, "no/page.html: No such file or directory"),
    ],
)
def test_what_can_not_be_shown(seqloom: Any, trained: Path, arguments: list[str], code: int, sentence: str) -> None:
    assert seqloom.refused("inspect", trained, *arguments, code=code) == f"seqloom: {sentence}\n"
    assert list(seqloom.folder.iterdir()) == []


def test_a_model_without_attention(seqloom: Any, blind: Path) -> None:
    said = seqloom.refused("inspect", blind, "a b", code=1)
    assert said == f"seqloom: the model in {blind} has no attention over the source\n"


def test_bytes_that_are_no_text_are_shown_as_unknown(seqloom: Any, trained: Path) -> None:
    assert seqloom("inspect", trained, "a \udcff").code == 0
    assert "<svg" in (seqloom.folder / "attention.html").read_text("utf8")


# --- the search ------------------------------------------------------------------------------------------------------


def test_the_search_as_a_page(seqloom: Any, trained: Path) -> None:
    result = seqloom("inspect", trained, "a b c", "--beam")
    assert (result.code, result.err) == (0, "seqloom: wrote beam.html\n")
    assert result.out == seqloom("translate", trained, input=b"a b c\n").out
    page = (seqloom.folder / "beam.html").read_text("utf8")
    assert re.findall(r'<span dir="auto">(.*?)</span>', page)[0] == f"{result.out.strip()} &lt;/s&gt;"


def test_the_search_as_a_picture_and_as_numbers(seqloom: Any, blind: Path) -> None:
    assert seqloom("inspect", blind, "a b", "--beam", "-o", "beam.svg").code == 0
    assert ElementTree.parse(seqloom.folder / "beam.svg").getroot().tag.endswith("svg")
    assert seqloom("inspect", blind, "a b", "--beam", "-o", "beam.json", "-b", "2", "--max-length", "4").code == 0
    search = json.loads((seqloom.folder / "beam.json").read_text())
    assert search["subtitle"] == "beam 2" and 1 <= len(search["steps"]) <= 4
    assert {candidate["fate"] for step in search["steps"] for candidate in step} == {"kept", "finished", "pruned"}
