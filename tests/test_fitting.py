"""`batch_tokens: auto`: as much as fits, the same after every start, and a sentence where nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloom import fitting, runs
from seqloom.config.root import Config, read_config
from seqloom.errors import SeqloomError
from seqloom.fitting import LEAST, MOST, SHARE, STEP, fitted, largest_batch


def config(toy: Path, *changes: str) -> Config:
    return read_config(toy / "toy.yml", ["train.batch_tokens=auto", "train.steps=1", *changes])


def pretend(monkeypatch: pytest.MonkeyPatch, *, limit: int, a_token: int, ground: int) -> None:
    """A machine of so many bytes, where an update takes `ground` and more for each token, or fails."""

    def taken(config: Config, tokens: int) -> int | None:
        size = ground + a_token * tokens
        return size if size < limit else None

    monkeypatch.setattr(fitting, "memory_limit", lambda device: limit)
    monkeypatch.setattr(fitting, "_taken", taken)


@pytest.mark.parametrize("limit", [10**8, 10**9, 3 * 10**9, 10**10])
@pytest.mark.parametrize("a_token", [1000, 50_000, 700_000])
def test_the_largest_fits_and_one_more_step_would_not(
    toy: Path, monkeypatch: pytest.MonkeyPatch, limit: int, a_token: int
) -> None:
    ground = 10**7
    pretend(monkeypatch, limit=limit, a_token=a_token, ground=ground)
    room = SHARE * limit - ground
    if a_token * LEAST > room:
        with pytest.raises(SeqloomError):
            largest_batch(config(toy))
        return
    found = largest_batch(config(toy))
    assert LEAST <= found <= MOST and a_token * found <= room
    if 2 * LEAST * a_token <= room and found < MOST:  # with a single size that fits there is no line
        assert a_token * (found + 2 * STEP) > room or found == MOST - STEP


def test_where_not_even_small_ones_fit(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, limit=2**20, a_token=10**6, ground=0)
    with pytest.raises(SeqloomError) as caught:
        largest_batch(config(toy))
    assert str(caught.value) == (
        "train.batch_tokens: not even batches of 1,024 tokens fit into 1 MiB; make the model smaller"
    )


def test_a_run_keeps_what_was_found(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MOST", 2048)
    runs.train(config(toy), tmp_path / "run")
    kept = read_config(tmp_path / "run" / "config.yml").train.batch_tokens
    assert kept == 2048
    monkeypatch.setattr(fitting, "largest_batch", None)
    assert fitted(config(toy), tmp_path / "run").train.batch_tokens == kept
    runs.train(config(toy, "train.steps=2"), tmp_path / "run")


def test_a_number_stays(toy: Path, tmp_path: Path) -> None:
    chosen = config(toy, "train.batch_tokens=777")
    assert fitted(chosen, tmp_path) is chosen


def test_an_update_that_memory_has_no_room_for_does_not_fit(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise MemoryError

    assert isinstance(fitting._taken(config(toy), LEAST), int)
    monkeypatch.setattr("seqloom.train.update.Update._gradients", full)
    assert fitting._taken(config(toy), LEAST) is None
