"""`seqloom shortlist`, and --shortlist wherever a beam searches."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

LINES = ["b a d", "c c", "", "j i h g f e d", "x"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


@pytest.fixture
def run(seqloom: Any, trained: Path) -> Path:
    """A run of the test's own that has a shortlist."""
    place = seqloom.folder / "run"
    shutil.copytree(trained, place)
    result = seqloom("shortlist", "run", "--most-common", "2", "--each", "3")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("seqloom: wrote run/shortlist.safetensors, learnt from ")
    assert result.err.endswith("% of the validation data's target symbols\n")
    return place


def test_a_shortlist_covers_what_is_said(seqloom: Any, run: Path) -> None:
    """The toy's target has the symbols of its source."""
    result = seqloom("shortlist", "run", "--each", "10", "--most-pairs", "100", "-o", "other")
    assert result.err == (
        "seqloom: wrote other, learnt from 100 pairs; it has 100.0% of the validation data's target symbols\n"
    )
    assert (seqloom.folder / "other").read_bytes() != (run / "shortlist.safetensors").read_bytes()


def test_translations_are_of_what_is_listed(seqloom: Any, run: Path) -> None:
    found = seqloom("translate", run, "--shortlist", input=TEXT).out.split("\n")[:-1]
    assert len(found) == len(LINES) and found[2] == ""
    assert found == [seqloom("translate", run, "--shortlist", input=f"{line}\n".encode()).out[:-1] for line in LINES]
    (seqloom.folder / "config.yml").write_text((run / "config.yml").read_text())
    text = (run / "config.yml").read_text()
    assert "  shortlist: false\n" in text
    (run / "config.yml").write_text(text.replace("  shortlist: false\n", "  shortlist: true\n"))
    assert seqloom("translate", run, input=TEXT).out.split("\n")[:-1] == found
    whole = seqloom("translate", run, "--no-shortlist", input=TEXT).out
    (run / "config.yml").write_text(text)
    assert seqloom("translate", run, input=TEXT).out == whole


def test_files_are_translated_among_it_and_go_on_only_with_the_same(seqloom: Any, run: Path) -> None:
    (seqloom.folder / "mono").write_bytes(TEXT)
    wanted = seqloom("translate", run, "--no-guard", "--shortlist", input=TEXT).out
    assert seqloom("translate-files", run, "mono", "-o", "out", "--shortlist").code == 0
    assert (seqloom.folder / "out" / "target.txt").read_text() == wanted
    assert seqloom("shortlist", "run", "--each", "1").code == 0
    said = seqloom.refused("translate-files", run, "mono", "-o", "out", "--shortlist", code=2)
    assert said.startswith("seqloom: out holds a job with other settings: model was ")


def test_a_run_without_one_says_how_to_get_it(seqloom: Any, trained: Path) -> None:
    assert seqloom.refused("translate", trained, "--shortlist", input=TEXT, code=2) == (
        "seqloom: there is no shortlist here; make one with seqloom shortlist RUN\n"
    )


def test_a_damaged_one_is_refused(seqloom: Any, run: Path) -> None:
    (run / "shortlist.safetensors").write_bytes(b"junk")
    assert seqloom.refused("translate", run, input=TEXT, code=1) == (
        f"seqloom: {run}/shortlist.safetensors is damaged; make it anew with seqloom shortlist\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 1, "nowhere is not a run directory: there is no such directory"),
        (["run", "--each", "0"], 2, None),
    ],
)
def test_what_can_not_be_meant_is_said(
    seqloom: Any, trained: Path, arguments: list[str], code: int, sentence: str | None
) -> None:
    said = seqloom.refused("shortlist", *(trained if word == "run" else word for word in arguments), code=code)
    assert said == f"seqloom: {sentence}\n" if sentence else "--each" in said


def test_sampling_needs_all_symbols(seqloom: Any, run: Path) -> None:
    assert seqloom.refused("translate", run, "--shortlist", "--sample", input=TEXT, code=2) == (
        "seqloom: a shortlist leaves out what sampling is to find; got shortlist: true and sample: true\n"
    )
