"""Samples are what the translator would write, above the targets."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from seqloom import runs
from seqloom.config.root import read_config
from seqloom.errors import SeqloomError
from seqloom.hooks import Samples, samples
from seqloom.search import SearchOptions


def test_a_file_has_predictions_above_their_targets(toy: Path, tmp_path: Path) -> None:
    changes = ["train.steps=7", "train.validate_every=7", "hooks=[{class: Samples, every: 3, count: 4}]"]
    runs.train(read_config(toy / "toy.yml", [*changes, "train.checkpoint_every=6", "train.keep_last=9"]), tmp_path)
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {"samples_000003.txt", "samples_000006.txt"}

    sources, targets = ((toy / f"valid.{side}").read_text().splitlines()[:4] for side in ("source", "target"))
    translator = runs.load(tmp_path, checkpoint=6)
    found = [t.text for t in translator.translate(sources, SearchOptions(beam_size=1))]
    rule, pairs = "=" * 80, "".join(f"{one}\n{other}\n\n" for one, other in zip(found, targets, strict=True))
    assert (tmp_path / "samples" / "samples_000006.txt").read_text("utf8") == (
        "Prediction followed by target @ step 6\n"
        "Decoded freely, as in use: the model saw the source, and its own words in place of the target's.\n"
        f"{rule}\n{pairs}{rule}\n"
    )


class Clock:
    """Time that goes by one second whenever it is looked at."""

    def __init__(self) -> None:
        self.seconds = count()

    def monotonic(self) -> float:
        return float(next(self.seconds))


def test_they_can_come_by_the_clock(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "time", Clock())
    changes = ["train.steps=9", "train.validate_every=9", "hooks=[{class: Samples, every: null, seconds: 3}]"]
    runs.train(read_config(toy / "toy.yml", changes), tmp_path)
    steps = sorted(int(path.stem[8:]) for path in (tmp_path / "samples").iterdir())
    assert steps == [3, 6, 9], "the clock is looked at once a step, and once more for each file"


def test_no_interval_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        Samples(tmp_path, every=None)
    assert str(caught.value) == "samples need an interval; set every (steps) or seconds"


def test_a_folder_that_can_not_be_made_is_a_sentence(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("in the way")
    config = read_config(toy / "toy.yml", ["train.steps=2", "hooks=[{class: Samples, every: 1}]"])
    with pytest.raises(SeqloomError) as caught:
        runs.train(config, tmp_path)
    place = tmp_path / "samples" / "samples_000001.txt"
    assert str(caught.value) == f"{place} could not be written: File exists; the last checkpoint stands"
