"""Every line exactly once, in order, whatever happens to the workers."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from seqloom.bulk.corpus import write_corpus
from seqloom.bulk.inputs import Inputs
from seqloom.bulk.job import Job
from seqloom.bulk.results import DamagedError, Found, held
from seqloom.data.corpora import CorpusOptions
from seqloom.errors import DataError, UsageError
from seqloom.search import SearchOptions

LINES = [f"line {number}" if number % 7 else "" for number in range(203)]
WANTED = [f"{text} = {number}" for number, text in enumerate(LINES)]


def numbered(texts: Sequence[str], first: int) -> Iterator[Found]:
    """A translation that says which line it is of."""
    for number, text in enumerate(texts, first):
        yield Found(len(text), [f"{text} = {number}"], [0.0], [1])


def slowly(texts: Sequence[str], first: int) -> Iterator[Found]:
    for found in numbered(texts, first):
        time.sleep(0.001)
        yield found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Two files, one of them compressed, in shards of ten lines."""
    (tmp_path / "part.1").write_text("".join(f"{line}\n" for line in LINES[:90]))
    with gzip.open(tmp_path / "part.2.gz", "wt") as file:
        file.writelines(f"{line}\n" for line in LINES[90:])
    job = Job(tmp_path / "out", Inputs((tmp_path / "part.*",)), SearchOptions(), "model", shard_lines=10)
    job.join()
    return job


def finished(job: Job) -> list[str]:
    """The lines of the merged output."""

    def make() -> dict[str, object]:
        return write_corpus(job.directory, job.rows(), lambda number, row, found: (row[0], found.texts[0]))

    report = job.finish(numbered, make, {})
    assert report["lines"] == report["kept"] == len(LINES)
    assert (job.directory / "source.txt").read_text().split("\n")[:-1] == LINES
    return (job.directory / "target.txt").read_text().split("\n")[:-1]


def worker(job: Job) -> int:
    """A process of its own that works on the job."""
    pid = os.fork()
    if not pid:
        try:
            job.work(slowly)
        finally:
            os._exit(0)
    return pid


def test_lines_come_out_in_order(job: Job) -> None:
    assert finished(job) == WANTED
    assert sorted(path.name for path in job.directory.iterdir() if not path.name.startswith(".")) == [
        "job.json",
        "report.json",
        "shards",
        "source.txt",
        "target.txt",
    ]


def test_kills_at_any_moment_lose_and_double_nothing(job: Job) -> None:
    draw, workers = random.Random(1), [worker(job) for _ in range(3)]
    for _ in range(25):
        time.sleep(draw.uniform(0, 0.03))
        victim = draw.randrange(3)
        os.kill(workers[victim], signal.SIGKILL)
        os.waitpid(workers[victim], 0)
        workers[victim] = worker(job)
    assert finished(job) == WANTED
    for pid in workers:
        os.waitpid(pid, 0)
    assert {path.suffix for path in (job.directory / "shards").iterdir()} == {".jsonl"}


def test_workers_share_the_work_and_do_nothing_twice(job: Job, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def noting(texts: Sequence[str], first: int) -> Iterator[Found]:
        with log.open("a") as file:
            file.write(f"{first}\n")
        return slowly(texts, first)

    workers = []
    for _ in range(3):
        workers.append(os.fork())
        if not workers[-1]:
            try:
                job.work(noting)
            finally:
                os._exit(0)
    for pid in workers:
        os.waitpid(pid, 0)
    assert sorted(map(int, log.read_text().split())) == list(range(0, len(LINES), 10))


def test_a_worker_waits_for_the_shards_of_others_and_takes_over_when_they_die(job: Job) -> None:
    pid = os.fork()
    if not pid:
        with job.results.claim(3):
            time.sleep(60)
    while not (job.directory / "shards" / "00000003.lock").exists():
        time.sleep(0.01)
    other = worker(job)
    while not job.results.done(20):
        time.sleep(0.01)
    assert not job.results.done(3)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.waitpid(other, 0)
    assert job.results.done(3)
    assert finished(job) == WANTED


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data.replace(b"line", b"lime")]
)
def test_a_damaged_result_is_found_and_made_anew(job: Job, damage: object, caplog: pytest.LogCaptureFixture) -> None:
    job.work(numbered)
    path = job.results.path(4)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DamagedError) as caught:
        list(job.rows())
    assert str(caught.value) == f"{path} is damaged"
    assert finished(job) == WANTED
    assert [record.message for record in caplog.records] == [f"{path} is damaged: it is made anew"]


def test_what_was_made_is_not_made_again_unless_something_else_is_asked_for(job: Job) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(len(list(job.rows())))
        return {"calls": len(made)}

    calls = [job.finish(numbered, make, {"ratio": ratio})["calls"] for ratio in (1.5, 1.5, 2.0)]
    assert (calls, made) == ([1, 1, 2], [len(LINES)] * 2)


def test_another_job_does_not_get_into_the_directory(job: Job) -> None:
    job.join()
    with pytest.raises(UsageError) as caught:
        replace(job, tag="<2de>", shard_lines=20).join()
    assert str(caught.value) == (
        f"{job.directory} holds a job with other settings: tag was None and is '<2de>'; shard_lines was 10 and is 20. "
        "Choose another directory, or go on as it was begun"
    )


def test_inputs_that_change_meanwhile_are_noticed(job: Job) -> None:
    job.work(numbered)
    first = job.inputs.files[0]
    first.write_text("something else\n")
    with pytest.raises(DataError) as caught:
        list(job.rows())
    assert str(caught.value) == f"{first} or another input has changed since {job.directory} was begun"


def test_no_lines_are_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    job = Job(tmp_path / "out", Inputs((tmp_path / "empty",)), SearchOptions(), "model")
    job.join()
    with pytest.raises(DataError) as caught:
        finished(job)
    assert str(caught.value) == f"{tmp_path / 'empty'}: there is no line to translate"


def test_a_failure_leaves_no_half_result(job: Job) -> None:
    def failing(texts: Sequence[str], first: int) -> Iterator[Found]:
        for number, found in enumerate(numbered(texts, first), first):
            if number == 25:
                raise OSError("no more")
            yield found

    with pytest.raises(OSError):
        job.work(failing)
    assert sorted(path.name for path in (job.directory / "shards").iterdir()) == ["00000000.jsonl", "00000001.jsonl"]
    assert finished(job) == WANTED


def test_parallel_text_comes_with_its_references(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("a\tb\nc\td\n")
    inputs = Inputs(corpus=CorpusOptions(tsv=tmp_path / "pairs"))
    assert list(inputs.blocks(1)) == [[("a", "b")], [("c", "d")]]


def test_a_lock_is_for_one(tmp_path: Path) -> None:
    with held(tmp_path / "lock", wait=False) as first, held(tmp_path / "lock", wait=False) as second:
        assert (first, second) == (True, False)
    with held(tmp_path / "lock", wait=False) as third:
        assert third


def test_a_result_is_of_a_shard_alone(job: Job) -> None:
    job.work(numbered)
    before = {path.name: path.read_bytes() for path in (job.directory / "shards").iterdir()}
    job.results.path(2).unlink()
    job.work(slowly)
    assert {path.name: path.read_bytes() for path in (job.directory / "shards").iterdir()} == before
    assert json.loads(before["00000020.jsonl"].splitlines()[-1])["lines"] == len(LINES) % 10
