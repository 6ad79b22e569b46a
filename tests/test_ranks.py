"""torchrun starts a training on several ranks, and starts it again when one is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import read_config
from seqloom.errors import UsageError
from seqloom.ranks import ALONE, Ranks, environment, own_device
from seqloom.runs import train

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
STEPS = 60
ALIKE = ("train.accumulate=2", f"train.steps={STEPS}", "train.log_every=1", "train.validate_every=30")


def losses_of(run: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf8").splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def environment_of(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src"), **more}


def torchrun(command: list[Any], where: dict[str, str]) -> tuple[int, str]:
    """Its exit code and what was said on standard error; whatever happens, no rank outlives this."""
    with subprocess.Popen(command, env=where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            process.terminate()  # it ends its ranks; killed, it couldn't
            raise
    return process.returncode, said


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2 WORLD_SIZE=2 LOCAL_RANK=2"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "RANK=one WORLD_SIZE=2 LOCAL_RANK=one"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "RANK=0 WORLD_SIZE=0 LOCAL_RANK=0"),
    ],
)
def test_an_environment_that_can_not_be_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], complaint: str
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as raised:
        environment()
    what = "which can't be; torchrun sets them for each process"
    assert str(raised.value) == f"the environment says {complaint}, {what}"


def test_several_ranks_are_not_put_on_one_device() -> None:
    assert own_device("cuda:1", (0, 1, 0)) == "cuda:1"
    assert own_device("cuda", (5, 8, 1)) == "cuda:1"
    assert own_device("cpu", (5, 8, 1)) == "cpu"
    with pytest.raises(UsageError) as raised:
        own_device("cuda:1", (5, 8, 1))
    assert str(raised.value) == "train.device 'cuda:1' is one device, and there are 8 ranks: use cuda, cpu or auto"


def test_alone_nothing_is_said_to_anybody() -> None:
    assert ALONE.main and ALONE.interruptible
    assert ALONE.gather("x") == ["x"]
    assert ALONE.most([1.0, 2.0]) == ALONE.total([1.0, 2.0]) == [1.0, 2.0]
    assert ALONE.shared(lambda items: [2 * item for item in items], [1, 2]) == [2, 4]
    assert str(Ranks(1, 4)) == "rank 1 of 4"


def test_torchrun_trains_as_one_process_does(toy: Path, tmp_path: Path) -> None:
    short = (*ALIKE, "train.steps=4")
    train(read_config(toy / "toy.yml", short), tmp_path / "alone")
    command = [*TORCHRUN, "-m", "seqloom", "train", toy / "toy.yml", *short, "-o", tmp_path / "run"]
    code, said = torchrun(command, environment_of())
    assert code == 0, said
    assert said.count("trained 4 steps") == 1
    assert losses_of(tmp_path / "run") == pytest.approx(losses_of(tmp_path / "alone"), rel=1e-5)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("who", [0, 1])
def test_a_killed_rank_costs_seconds_and_no_loss_differs(toy: Path, tmp_path: Path, who: int) -> None:
    train(read_config(toy / "toy.yml", ALIKE), tmp_path / "alone")
    (tmp_path / "killing_task.py").write_text(KILLING)
    changes = [*ALIKE, "train.checkpoint_every=5", "task=killing"]
    command = [*TORCHRUN, "--max-restarts", "3", "-m", "seqloom", "train", toy / "toy.yml", *changes]
    notes = tmp_path / "notes"
    where = environment_of(WHO=str(who), NOTES=str(notes), SEQLOOM_PLUGINS="killing_task")
    where["PYTHONPATH"] += f":{tmp_path}"
    code, said = torchrun([*command, "-o", tmp_path / "run"], where)
    assert code == 0, said
    killed, again = (float(line) for line in notes.read_text().split())
    assert losses_of(tmp_path / "run") == pytest.approx(losses_of(tmp_path / "alone"), rel=1e-5)
    print(f"rank {who} killed: trained again after {again - killed:.1f} s")
    assert again - killed <= 15


KILLING = '''
"""A task that kills its rank once, in step 33, and notes when that was and when the first step after it is."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from seqloom.registry import register
from seqloom.tasks import TranslationTask


@register("killing")
class Killing(TranslationTask):
    """Says when it is killed, and when it trains again."""

    count = 0

    def loss(self, model, batch):
        self.count += 1
        notes, first = Path(os.environ["NOTES"]), os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if os.environ["RANK"] == os.environ["WHO"] and self.count == (33 if first else 2):
            with open(notes, "a") as file:
                print(time.time(), file=file, flush=True)
            if first:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(model, batch)
'''
