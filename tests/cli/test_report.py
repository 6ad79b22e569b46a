"""`seqloom report`, and the report that `seqloom train` leaves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

WRITTEN = "seqloom: wrote run/report.html\nseqloom: wrote run/README.md\n"


def test_training_leaves_a_report_that_can_be_made_again(seqloom: Any, toy: Path) -> None:
    result = seqloom("train", toy / "toy.yml", "-o", "run", "train.steps=4", "train.validate_every=2")
    assert result.code == 0
    assert [line for line in result.err.splitlines() if "report.html" in line] == [
        "run/report.html shows how it went, run/README.md is its model card"
    ]
    made = {name: (seqloom.folder / "run" / name).read_bytes() for name in ("report.html", "README.md")}
    for name in made:
        (seqloom.folder / "run" / name).unlink()
    again = seqloom("report", "run")
    assert (again.code, again.out, again.err) == (0, "", WRITTEN)
    assert {name: (seqloom.folder / "run" / name).read_bytes() for name in made} == made


def test_a_folder_that_is_no_run_is_a_sentence(seqloom: Any) -> None:
    said = seqloom.refused("report", "nowhere", code=1)
    assert said == "seqloom: nowhere is not a run directory: there is no such directory\n"


def test_a_full_disk_is_a_sentence_and_the_page_before_stays(seqloom: Any, trained: Path) -> None:
    run = Path(shutil.copytree(trained, seqloom.folder / "run"))
    (run / "report.html").write_text("before")
    said = seqloom.refused("report", "run", code=1, file_limit=1000)
    assert said == "seqloom: run/report.html could not be written: File too large; the last checkpoint stands\n"
    assert (run / "report.html").read_text() == "before"
    assert not list(run.glob(".new-*"))
