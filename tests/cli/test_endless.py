"""Files of any length: every line once and in its place, in constant memory, whoever is killed on the way."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seqloom import bundles
from seqloom.config.root import read_config
from seqloom.runs import train

pytest.importorskip("ctranslate2")

from seqloom.exporting.ctranslate2 import export  # noqa: E402

TRANSFORMER = (
    "model={class: EncoderDecoder, embedding: {size: 16},"
    " encoder: {class: TransformerEncoder, layers: 1, heads: 2, feedforward: 32},"
    " decoder: {class: TransformerDecoder, layers: 1, heads: 2, feedforward: 32}}"
)
STEPS = ["train.steps=60", "train.validate_every=60", "train.checkpoint_every=60", "train.doctor=false"]
DISTINCT = 2000  # lines, of which files are made
MEGABYTES = 300  # above what one line takes
SIZES = [
    pytest.param(20_000, id="thousands"),
    pytest.param(1_000_000, id="million", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
]
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def exported(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Transformer, as CTranslate2 runs it."""
    run = tmp_path_factory.mktemp("endless") / "run"
    train(read_config(toy / "toy.yml", [TRANSFORMER, *STEPS]), run)
    return export(run, precision="float32", lines=5)[0]


@pytest.fixture(scope="module")
def known(exported: Path) -> dict[str, str]:
    """Lines, and what they become."""
    draw = random.Random(1)
    lines = sorted({" ".join(draw.choices("abcdefghij", k=draw.randint(2, 6))) for _ in range(DISTINCT)})
    translator = bundles.load(exported, device="cpu")
    found = {one.source: one.text for one in translator.translate(lines, translator.options.beam(1))}
    assert len({*found.values()}) > DISTINCT / 4, "a line out of its place would show"
    return found


def text(path: Path, known: dict[str, str], count: int) -> Path:
    """A file of so many of the lines that are known, in any order."""
    draw, lines = random.Random(2), list(known)
    with path.open("w") as file:
        file.writelines(f"{draw.choice(lines)}\n" for _ in range(count))
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "seqloom", *map(str, arguments), "--beam-size", "1"]


def peak(process: subprocess.Popen[Any]) -> float:
    """The most memory that a process had until it ended, in MB; what the system keeps for its parent has more in it."""
    kib = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        time.sleep(0.01)
    return kib / 1024


def lines_of(path: Path) -> Iterator[str]:
    with path.open() as file:
        yield from (line.removesuffix("\n") for line in file)


def kill_once(arguments: list[str], happened: Callable[[], object]) -> None:
    """Start a command and kill it in the midst of what it does."""
    with subprocess.Popen(arguments) as process:
        while not happened():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@linux
@pytest.mark.parametrize("count", SIZES)
def test_a_file_is_gone_on_with_after_every_kill(
    exported: Path, known: dict[str, str], tmp_path: Path, count: int
) -> None:
    given, out = text(tmp_path / "given", known, count), tmp_path / "out"
    shards = out / "shards"
    options = ("--shard-lines", count // 20)
    with subprocess.Popen(
        command("translate-files", exported, text(tmp_path / "one", known, 1), "-o", tmp_path / "alone")
    ) as one:
        alone = peak(one)
    arguments, started = command("translate-files", exported, given, "-o", out, *options), time.monotonic()
    for done in (2, 8):
        kill_once(arguments, lambda done=done: len(list(shards.glob("*.jsonl"))) >= done)
    kill_once(arguments, lambda: list(out.glob(".new-target.txt*")))  # all is translated, and not yet put together
    assert not (out / "target.txt").exists()
    with subprocess.Popen(arguments) as process:
        most = peak(process)
    assert process.returncode == 0
    seconds = time.monotonic() - started
    print(f"{count:,} lines: {seconds:.0f} s in all, {most:.0f} MB at most, and {alone:.0f} MB for one line")
    for line, source, target in zip(*map(lines_of, (given, out / "source.txt", out / "target.txt")), strict=True):
        assert (source, target) == (line, known[line])
    assert most < alone + MEGABYTES


@linux
@pytest.mark.parametrize("count", SIZES)
def test_a_stream_takes_no_more_memory_the_longer_it_is(
    exported: Path, known: dict[str, str], tmp_path: Path, count: int
) -> None:
    peaks, given, found = [], text(tmp_path / "given", known, count), tmp_path / "found"
    for some in (text(tmp_path / "one", known, 1), given):
        started = time.monotonic()
        with some.open() as file, found.open("w") as out:
            with subprocess.Popen(command("translate", exported, "--no-guard"), stdin=file, stdout=out) as process:
                peaks.append(peak(process))
        assert process.returncode == 0
    seconds = time.monotonic() - started
    print(f"{count:,} lines: {seconds:.0f} s, {peaks[1]:.0f} MB at most, and {peaks[0]:.0f} MB for one line")
    for line, target in zip(lines_of(given), lines_of(found), strict=True):
        assert target == known[line]
    assert peaks[1] < peaks[0] + MEGABYTES


def test_noise_is_refused_by_a_sentence_and_what_stood_before_it_is_translated(
    exported: Path, known: dict[str, str]
) -> None:
    line = next(iter(known))
    noise = random.Random(3).randbytes(100_000)
    result = subprocess.run(
        command("translate", exported, "--no-guard"), input=f"{line}\n".encode() + noise, capture_output=True
    )
    assert (result.returncode, result.stdout.decode().split("\n")[0]) == (1, known[line])
    said = result.stderr.decode().splitlines()[-1]
    assert said.startswith("seqloom: standard input: line ") and " is not UTF-8 (byte 0x" in said
    assert "Traceback" not in result.stderr.decode()


@pytest.mark.parametrize(
    ("closed", "result"),
    [
        ("<&-", (2, "", "seqloom: there is no standard input: it was closed before the command began\n")),
        (">&-", (2, "", "seqloom: there is no standard output: it was closed before the command began\n")),
        ("2>&-", (0, "LINE\n", "")),
    ],
)
def test_a_standard_stream_that_is_closed_is_no_fault_of_the_program(
    exported: Path, known: dict[str, str], closed: str, result: tuple[int, str, str]
) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command("translate", exported, "--no-guard")]
    line = next(iter(known))
    found = subprocess.run(shell, input=f"{line}\n", capture_output=True, text=True)
    assert (found.returncode, found.stdout.replace(known[line], "LINE"), found.stderr) == result
