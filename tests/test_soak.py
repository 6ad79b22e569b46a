"""A training that runs for long needs no more memory and no more open files than at its beginning."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

SETTINGS = ["train.steps=100000000", "train.validate_every=100", "train.checkpoint_every=50", "train.device=cpu"]
SETTINGS += ["train.threads=1", "train.doctor=false", "model.encoder.dropout=0.2", "train.log_every=20"]


def watched(toy: Path, run: Path, seconds: float) -> list[tuple[int, int]]:
    """Resident KiB and open files of a training, looked at 200 times on its way; it ends by a signal, as it should."""
    command = [sys.executable, "-m", "seqloom", "train", str(toy / "toy.yml"), *SETTINGS, "--output", str(run)]
    with open(run.with_suffix(".log"), "w") as log, subprocess.Popen(command, stdout=log, stderr=log) as training:
        while not list(run.glob("checkpoints/step-000001[5-9]0")) and training.poll() is None:
            time.sleep(0.05)  # by then it has validated once, too
        seen = []
        for _ in range(200):
            time.sleep(seconds / 200)
            seen.append(_looked_at(training.pid))
        training.send_signal(signal.SIGTERM)
        assert training.wait(60) == 143, run.with_suffix(".log").read_text()
    return seen


def _looked_at(pid: int) -> tuple[int, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return resident, len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("seconds", "growth"),
    [
        pytest.param(20, 0.10, id="seconds"),
        pytest.param(float(os.environ.get("SEQLOOM_SOAK", "600")), 0.02, id="soak", marks=pytest.mark.long),
    ],
)
def test_memory_and_open_files_stay_what_they_were(toy: Path, tmp_path: Path, seconds: float, growth: float) -> None:
    seen = watched(toy, tmp_path / "run", seconds)
    early, late = seen[50:80], seen[-30:]
    resident = [median(kib for kib, _ in part) for part in (early, late)]
    files = [median(count for _, count in part) for part in (early, late)]
    print(f"{seconds:.0f} s: {resident[0] / 1024:.1f} and {resident[1] / 1024:.1f} MB; {files[0]} and {files[1]} files")
    assert resident[1] <= (1 + growth) * resident[0]
    assert files[1] <= files[0]
