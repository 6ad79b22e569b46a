"""A view refuses what can't be attention; its JSON and its picture say the same numbers, whatever the tokens are."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.inspect import AttentionView, as_json, svg
from seqloom.inspect.labels import columns, shortened, visible, visible_line

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</script><script>window.pwned=1</script>",
    '<img src=x onerror="window.pwned=1">',
    "]]>&lt;b&gt;<!--",
    "\u2028",
    "\x00\x1b",
    "\u202eevil",
    "\ud800",
    "\ufffe",
    "",
    " ",
    "👩‍👩‍👧",
    "שלום",
    "\u0301",
    "犬" * 40,
]
TOKENS = st.lists(st.text(st.characters(), max_size=6) | st.sampled_from(HOSTILE), min_size=1, max_size=5)


def random_view(
    source: list[str], target: list[str], *, layers: int = 2, heads: int = 3, title: str = "", subtitle: str = ""
) -> AttentionView:
    """A view in which every row is a distribution."""
    logits = np.random.default_rng(0).normal(0, 2, (layers, heads, len(target), len(source)))
    weights = np.exp(logits)
    return AttentionView(source, target, weights / weights.sum(-1, keepdims=True), title, subtitle)


VIEW = random_view(["Ein", "Hund", "</s>"], ["a", "dog", "runs", "</s>"], title="a dog runs", subtitle="score -0.3")


def all_text(picture: str) -> list[str]:
    """Every text and tooltip of a picture."""
    return [element.text or "" for element in ElementTree.fromstring(picture).iter()]


def test_leaving_out_layer_or_head_means_the_mean() -> None:
    assert np.allclose(VIEW.matrix(), VIEW.weights.mean((0, 1)))
    assert np.allclose(VIEW.matrix(layer=1), VIEW.weights[1].mean(0))
    assert np.allclose(VIEW.matrix(head=2), VIEW.weights[:, 2].mean(0))
    assert np.array_equal(VIEW.matrix(layer=1, head=2), VIEW.weights[1, 2])


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [({"layer": 2}, "layer must be from 0 to 1, got 2"), ({"head": -1}, "head must be from 0 to 2, got -1")],
)
def test_a_layer_or_head_that_is_not_there_is_refused(choice: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        svg(VIEW, **choice)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            np.zeros((1, 2, 3)),
            "weights must be [layers, heads, 2 target tokens, 3 source tokens] and not empty, got [1, 2, 3]",
        ),
        (
            np.zeros((1, 1, 3, 2)),
            "weights must be [layers, heads, 2 target tokens, 3 source tokens] and not empty, got [1, 1, 3, 2]",
        ),
        (
            np.zeros((0, 1, 2, 3)),
            "weights must be [layers, heads, 2 target tokens, 3 source tokens] and not empty, got [0, 1, 2, 3]",
        ),
        (np.full((1, 1, 2, 3), 1.5), "attention weights must be numbers from 0 to 1, got 1.5 to 1.5"),
        (np.full((1, 1, 2, 3), np.nan), "attention weights must be numbers from 0 to 1, got nan to nan"),
    ],
)
def test_weights_that_are_no_attention_are_refused(weights: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        AttentionView(["a", "b", "</s>"], ["c", "</s>"], weights)
    assert str(caught.value) == sentence


def test_layer_names_must_be_as_many_as_layers() -> None:
    with pytest.raises(ValueError) as caught:
        AttentionView(["a"], ["b"], np.ones((2, 1, 1, 1)), layer_names=["top"])
    assert str(caught.value) == "layer_names must have 2 names, got 1"


@given(source=TOKENS, target=TOKENS)
@settings(deadline=None, max_examples=40)
def test_json_gives_back_tokens_and_weights(source: list[str], target: list[str]) -> None:
    view = random_view(source, target)
    text = as_json([view], kind="source")
    assert text.isascii()
    (data,) = json.loads(text)["views"]
    assert (data["source"], data["target"], data["layers"]) == (source, target, ["layer 1", "layer 2"])
    assert np.allclose(data["weights"], view.weights, atol=5.1e-5)


@given(source=TOKENS, target=TOKENS, title=st.text(st.characters(), max_size=8) | st.sampled_from(HOSTILE))
@settings(deadline=None, max_examples=60)
def test_every_picture_is_valid_and_says_every_number(source: list[str], target: list[str], title: str) -> None:
    view = random_view(source, target, title=title, subtitle=title)
    texts = all_text(svg(view))
    assert svg(view).encode("utf-8")
    without_isolates = [text.replace("\u2068", "").replace("\u2069", "") for text in texts]
    for row, column in np.ndindex(len(target), len(source)):
        told = f"{visible(target[row])} → {visible(source[column])}: {view.matrix()[row, column]:.3f}"
        assert told in without_isolates


def test_a_picture_carries_nothing_that_runs_or_loads() -> None:
    picture = svg(random_view(HOSTILE, HOSTILE, title=HOSTILE[0], subtitle=HOSTILE[1]))
    tags = {element.tag for element in ElementTree.fromstring(picture).iter()}
    assert tags == {f"{SVG}{name}" for name in ("svg", "title", "rect", "text", "g")}
    attributes = {name for element in ElementTree.fromstring(picture).iter() for name in element.attrib}
    assert not any(name.startswith("on") or name in ("href", "style") for name in attributes)


@pytest.mark.parametrize("length", [1, 12, 24, 40, 60])
@pytest.mark.parametrize("token", ["x", "word", "a very long token that needs to be cut somewhere"])
def test_labels_stay_inside_the_picture_and_do_not_touch(length: int, token: str) -> None:
    picture = ElementTree.fromstring(svg(random_view([token] * length, [token] * length)))
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    squares = [element for element in picture.iter(f"{SVG}rect") if element.find(f"{SVG}title") is not None]
    assert len(squares) == length * length
    assert min(float(square.get("width", 0)) for square in squares) >= 16
    assert max(float(square.get("x", 0)) + float(square.get("width", 0)) for square in squares) < width
    assert max(float(square.get("y", 0)) + float(square.get("height", 0)) for square in squares) < height
    labels = [element for element in picture.iter(f"{SVG}text") if element.find(f"{SVG}title") is not None]
    assert len(labels) == 2 * length
    assert all(columns(label.text or "") <= 20 for label in labels)
    assert {title.text for label in labels for title in label} == {visible(token)}


def test_narrow_tokens_stand_upright_and_wide_ones_are_turned() -> None:
    def turned(view: AttentionView) -> int:
        return svg(view).count("rotate(")

    date = [*"6 mars 2026", "</s>"]
    assert turned(random_view(date, ["2", "</s>"])) == 0
    assert turned(random_view([*"lundi 6 mars 2026", "</s>"], ["2", "</s>"])) == 1  # </s> is wider than smaller cells
    assert turned(random_view("The weather is wonderful today".split(), ["x"])) == 5


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("Hund", "Hund"),
        ("▁Hund", "▁Hund"),
        (" ", "␣"),
        ("a b", "a␣b"),
        ("", "⟨empty⟩"),
        ("\x00", "␀"),
        ("\t\n\x7f", "␉␊␡"),
        ("\x85", "⟨U+0085⟩"),
        ("\u202eevil\u202c", "⟨RLO⟩evil⟨PDF⟩"),
        ("\u2028\u2029", "⟨LS⟩⟨PS⟩"),
        ("\ufeffa\xa0", "⟨BOM⟩a⟨NBSP⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("\u200d", "⟨ZWJ⟩"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("שלום", "שלום"),
    ],
)
def test_every_character_is_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


@given(st.text(st.characters(), max_size=12))
def test_visible_text_can_be_stored_and_turns_nothing_around_it(text: str) -> None:
    for shown in (visible(text), visible_line(text)):
        assert shown.encode("utf-8").decode("utf-8") == shown
        turning = map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
        assert not set(shown) & {*turning, *"\x00\u2028\u2029\ufffe\uffff"}
        ElementTree.fromstring(f"<x>{shown.replace('&', '').replace('<', '')}</x>")


@given(st.text("aé犬\u0301👩\u200d", max_size=20), st.integers(1, 12))
def test_a_shortened_label_fits_and_is_a_beginning(label: str, limit: int) -> None:
    short = shortened(label, limit)
    assert columns(short) <= limit
    assert short == label or (short.endswith("…") and label.startswith(short[:-1]))


def test_pictures_need_no_torch() -> None:
    code = "import sys, seqloom.inspect; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
