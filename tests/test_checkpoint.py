"""Checkpoints: whole or absent whatever happens to the process, the disk and the files; and one process a run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqloom.checkpoint import FORMAT, Checkpoint, Checkpoints, locked
from seqloom.errors import CheckpointError

FILES = ("model.safetensors", "training.safetensors", "state.json", "manifest.json")


def checkpoint(step: int, size: int = 3) -> Checkpoint:
    model = {"weight": torch.full((size,), float(step)), "half": torch.ones(2, dtype=torch.bfloat16)}
    return Checkpoint(step, model, {"0.step": torch.tensor(step)}, {"progress": {"step": step}})


def saved(directory: Path, *steps: int, keep_last: int = 9, keep: int | None = None) -> Checkpoints:
    checkpoints = Checkpoints(directory)
    for step in steps:
        checkpoints.save(checkpoint(step), keep_last=keep_last, keep=keep)
    return checkpoints


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 7)
    loaded = checkpoints.load(7)
    assert loaded.step == 7
    assert loaded.state["progress"] == {"step": 7}
    assert same(loaded.model, checkpoint(7).model)
    assert same(loaded.training, checkpoint(7).training)
    assert sorted(path.name for path in (tmp_path / "step-00000007").iterdir()) == sorted(FILES)


def test_an_empty_run_has_no_newest(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "absent").newest() == (None, [])


def test_the_last_and_the_one_to_keep_are_left(tmp_path: Path) -> None:
    assert saved(tmp_path / "last", 1, 2, 3, 4, 5, keep_last=2).steps() == [4, 5]
    assert saved(tmp_path / "best", 1, 2, 3, 4, 5, keep_last=2, keep=2).steps() == [2, 4, 5]
    assert all(path.name.startswith("step-") for path in (tmp_path / "best").iterdir())


def test_saving_a_step_twice_leaves_the_second(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 4)
    checkpoints.save(checkpoint(4, size=8), keep_last=1)
    assert checkpoints.load(4).model["weight"].shape == (8,)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004"]


def test_a_step_without_a_checkpoint_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoints(tmp_path).load(3)
    assert str(caught.value) == f"{tmp_path} has no checkpoint of step 3; it has none yet"
    with pytest.raises(CheckpointError) as caught:
        saved(tmp_path, 10, 20).load(3)
    assert str(caught.value) == f"{tmp_path} has no checkpoint of step 3; it has 10, 20"


# Damage


def damaged(checkpoints: Checkpoints, step: int) -> str:
    """What loading says of a damaged checkpoint, after seeing that the one before it is found instead."""
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(step)
    newest, damage = checkpoints.newest()
    assert newest is not None and newest.step == 1
    assert damage == [str(caught.value)]
    return damage[0]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path, name: str) -> None:
    checkpoints, draw = saved(tmp_path, 1, 2), random.Random(name)
    path = tmp_path / "step-00000002" / name
    whole = path.read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        assert str(path.parent) in damaged(checkpoints, 2)
    path.write_bytes(whole)
    assert checkpoints.load(2).step == 2


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short_anywhere_is_noticed(tmp_path: Path, name: str) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    path = tmp_path / "step-00000002" / name
    whole = path.read_bytes()
    manifest = (
        "its manifest can't be read" if name == "manifest.json" else f"{name} doesn't have the SHA-256 of its manifest"
    )
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert damaged(checkpoints, 2) == f"{path.parent} is damaged: {manifest}"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    (tmp_path / "step-00000002" / name).unlink()
    assert damaged(checkpoints, 2) == f"{tmp_path / 'step-00000002'} is damaged: {name} is missing"


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "1",
        "null",
        "{}",
        '{"format": 1}',
        '{"format": 1, "sha256": null}',
        '{"format": 1, "sha256": {}}',
        "\udcff",
    ],
)
def test_a_manifest_that_says_something_else_is_damage(tmp_path: Path, manifest: str) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    (tmp_path / "step-00000002" / "manifest.json").write_bytes(manifest.encode("utf8", "surrogateescape"))
    assert damaged(checkpoints, 2) == f"{tmp_path / 'step-00000002'} is damaged: its manifest can't be read"


def test_a_later_format_is_said_to_be_one(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    path = tmp_path / "step-00000002" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": FORMAT + 1}))
    assert damaged(checkpoints, 2) == f"{path.parent} has format {FORMAT + 1}, this Seqloom reads format {FORMAT}"


# What a killed process leaves


def test_leftovers_are_cleared_away_and_a_replaced_checkpoint_comes_back(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2, 3)
    (tmp_path / ".new-step-00000004").mkdir()
    (tmp_path / ".new-step-00000004" / "model.safetensors").write_bytes(b"half")
    (tmp_path / "step-00000003").rename(tmp_path / ".old-step-00000003")  # killed between two renames
    (tmp_path / ".old-step-00000002").mkdir()  # killed before the replaced one was gone
    assert checkpoints.steps() == [1, 2]
    checkpoints.tidy()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000001", "step-00000002", "step-00000003"]
    assert checkpoints.load(3).step == 3


# Forks children that save without pause, kills each at some moment, and looks at what it left.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from seqloom.checkpoint import Checkpoint, Checkpoints

torch.set_num_threads(1)
directory, kills, draw = Path(sys.argv[1]), int(sys.argv[2]), random.Random(3)
checkpoints = Checkpoints(directory)
acknowledged, midway = 0, 0
for kill in range(kills):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        step = acknowledged
        while True:
            step += 1
            for size in (1000, 50_000):  # every step is saved twice, as after a validation that was cut short
                weights = {"w": torch.full((size,), float(step))}
                checkpoints.save(Checkpoint(step, weights, weights, {"size": size}), keep_last=2, keep=1)
                os.write(writer, b"%d %d\\n" % (step, size))
    os.close(writer)
    said = os.read(reader, 100)  # it has begun
    time.sleep(draw.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 65536):
        said += more
    os.close(reader)
    midway += any(path.name.startswith(".") for path in directory.iterdir())
    checkpoints.tidy()
    left = [path.name for path in directory.iterdir() if not path.name.startswith("step-")]
    assert not left, left
    acknowledged, size = map(int, said.decode().splitlines()[-1].split())
    newest, damage = checkpoints.newest()
    assert not damage, damage
    assert newest.step >= acknowledged, (newest.step, acknowledged)
    assert newest.step > acknowledged or newest.state["size"] >= size
    for step in checkpoints.steps():
        assert (checkpoints.load(step).model["w"] == step).all()
    acknowledged = newest.step
print(kills, midway)
"""


def killed(directory: Path, kills: int) -> int:
    """How many of so many kills hit a save under way; fails if one did harm."""
    command = [sys.executable, "-c", KILLER, str(directory), str(kills)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    done, midway = map(int, result.stdout.split())
    assert done == kills
    return midway


def test_kills_at_any_moment_damage_nothing_and_lose_nothing_acknowledged(tmp_path: Path) -> None:
    assert killed(tmp_path, 10) > 0


@pytest.mark.long
def test_a_hundred_kills_damage_nothing_and_lose_nothing_acknowledged(tmp_path: Path) -> None:
    assert killed(tmp_path, 100) > 10


# A full disk

LIMITED = """
import resource, sys
from pathlib import Path
import torch
from seqloom.checkpoint import Checkpoint, Checkpoints

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
checkpoints = Checkpoints(Path(sys.argv[1]))
try:
    checkpoints.save(Checkpoint(2, {"w": torch.zeros(100_000)}, {}, {}), keep_last=1)
except Exception as error:
    print(type(error).__name__, error, end="")
"""


def test_a_full_disk_is_a_sentence_and_the_checkpoint_before_stands(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    result = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True)
    place = tmp_path / "step-00000002"
    assert result.stdout == f"CheckpointError {place} could not be written: File too large; the one before it stands"
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert checkpoints.load(1).step == 1


# One process a run


def test_a_run_directory_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        with pytest.raises(CheckpointError) as caught, locked(tmp_path / "run"):
            pass
    assert str(caught.value) == f"{tmp_path / 'run'} is in use by another training; wait for it, or choose another"
    with locked(tmp_path / "run"):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from seqloom.checkpoint import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError, match="in use by another training"), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        pass
