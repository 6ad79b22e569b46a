"""The report in a training: there at once, whole whatever happens, going on after a resume, and in nobody's way."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from seqloom import runs
from seqloom.config.root import Config, read_config
from seqloom.hooks import base
from seqloom.story import Record, Story, write, writer
from seqloom.train import Interrupted, Trainer

from .conftest import trained, validated

SHORT = ["train.steps=8", "train.validate_every=4", "train.log_every=2", "train.checkpoint_every=4"]
SHORT.append("task={class: translation, valid_most: 4}")


def config(toy: Path, *changes: str) -> Config:
    return read_config(toy / "toy.yml", [*SHORT, *changes])


def stop_after(step: int) -> Callable[[Trainer, Mapping[str, Any]], None]:
    def stop(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "stepped" and metrics["step"] == step:
            signal.raise_signal(signal.SIGTERM)

    return stop


def drawn(directory: Path) -> list[list[int]]:
    """The steps of the curves of losses that the page carries."""
    text = (directory / "report.html").read_text("utf8").partition('id="data">')[2].partition("</script>")[0]
    return [steps for steps, _ in json.loads(text)["charts"][0]["curves"]]


def test_every_validation_renews_it_and_a_resume_goes_on(toy: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def look(trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") in ("started", "saved"):
            seen.append((tmp_path / "run" / "report.html").read_text("utf8"))

    hooks = [Story(tmp_path / "run"), look]
    with pytest.raises(Interrupted):
        runs.train(config(toy), tmp_path / "run", hooks=[*hooks, stop_after(5)])
    assert "Nothing has been measured yet." in seen[0], "it is there from the start"
    assert drawn(tmp_path / "run") == [[2, 4], [4]]
    runs.train(config(toy), tmp_path / "run", hooks=hooks)
    assert drawn(tmp_path / "run") == [[2, 4, 6, 8], [4, 8]]
    last = Record.read(tmp_path / "run")
    assert [start["step"] for start in last.starts] == [0, 5]
    assert last.corpora("training")[0].report["kept"] == 200
    before = (tmp_path / "run" / "report.html").read_text("utf8")
    write(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text("utf8") == before, "it is made of the files alone"


def test_a_readme_of_the_user_stays(run: Callable[..., Path]) -> None:
    directory = run()
    assert [path.name for path in write(directory)] == ["report.html", "README.md"]
    assert [path.name for path in write(directory)] == ["report.html", "README.md"], "ours is renewed"
    (directory / "README.md").write_text("mine")
    assert [path.name for path in write(directory)] == ["report.html"]
    assert (directory / "README.md").read_text() == "mine"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError("a fault of ours")])
def test_what_goes_wrong_with_it_is_said_once_and_ends_nothing(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(record: Record) -> str:
        raise error

    monkeypatch.setattr(writer, "page", fail)
    with caplog.at_level(logging.WARNING):
        assert runs.train(config(toy), tmp_path / "run", hooks=[Story(tmp_path / "run")]).step == 8
    assert caplog.messages == [f"the report is not up to date: {error}; training goes on"]


def test_a_full_disk_leaves_the_page_before(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = run([trained(1)])
    write(directory)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    write_text = Path.write_text

    def half(path: Path, text: str, encoding: str) -> None:
        write_text(path, text[: len(text) // 2], encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    trainer: Any = None
    Story(directory)(trainer, validated(2))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    said = f"{directory / 'report.html'} could not be written: No space left on device; the last checkpoint stands"
    assert caplog.messages == [f"the report is not up to date: {said}; training goes on"]


def test_kills_at_any_moment_leave_a_whole_page(run: Callable[..., Path]) -> None:
    directory = run([trained(step) for step in range(1, 400)])
    wanted = {path.name: path.read_bytes() for path in write(directory)}
    for delay in (0.3, 0.34, 0.39, 0.45):
        child = os.fork()
        if not child:
            while True:
                write(directory)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert {name: (directory / name).read_bytes() for name in wanted} == wanted


def test_half_written_is_never_what_bears_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between writing and renaming: the file is still the old one, and the next one is written all the same."""
    (path := tmp_path / "report.html").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda scratch, path: sys.exit("killed"))
        with pytest.raises(SystemExit):
            base.write_text(path, "new")
    assert path.read_text() == "old"
    base.write_text(path, "newer")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "newer")]
