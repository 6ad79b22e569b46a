"""What is being made is nobody else's to remove, and what a killed process left is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqloom.data import aside as aside_module
from seqloom.data.aside import STALE, aside, remove_leftovers

MAKE = """
import sys, time
from pathlib import Path
from seqloom.data.aside import aside
with aside(Path(sys.argv[1])) as directory:
    (directory / "part").touch()
    print(directory, flush=True)
    time.sleep(60)
"""


def hidden(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob(".*"))


def test_it_is_gone_at_the_end_unless_it_was_moved(tmp_path: Path) -> None:
    with aside(tmp_path / "new" / "place") as made:
        (made / "file").touch()
    assert hidden(tmp_path / "new") == []
    with aside(tmp_path / "place") as made:
        (made / "file").touch()
        made.rename(tmp_path / "place")
    assert (tmp_path / "place" / "file").exists()
    assert hidden(tmp_path) == []


def test_what_is_being_made_stays_however_old_it_is(tmp_path: Path) -> None:
    with aside(tmp_path / "one") as first:
        os.utime(first, (time.time() - 2 * STALE,) * 2)
        with aside(tmp_path / "two"):
            remove_leftovers(tmp_path)
            assert first.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", MAKE, tmp_path / "place"], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        remove_leftovers(tmp_path)
        assert left.exists()
        process.kill()
    assert left.exists()
    with aside(tmp_path / "place"):
        assert not left.exists()


def test_where_there_are_no_locks_age_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside_module, "_lock", lambda directory: None)
    with aside(tmp_path / "one") as made:
        remove_leftovers(tmp_path)
        assert made.exists()
        os.utime(made, (time.time() - 2 * STALE,) * 2)
        remove_leftovers(tmp_path)
        assert not made.exists()


@pytest.mark.parametrize(("age", "stays"), [(0, True), (2 * STALE, False)])
def test_a_file_is_a_leftover_when_it_is_old(tmp_path: Path, age: float, stays: bool) -> None:
    file = tmp_path / ".file"
    file.touch()
    os.utime(file, (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    assert file.exists() == stays
