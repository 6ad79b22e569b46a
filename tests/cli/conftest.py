"""The command as a user runs it, each time in a process of its own, without the seconds that importing PyTorch takes.

A server that has imported everything forks a child for every command: arguments, standard streams, exit status and
signals are those of a real process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import read_config
from seqloom.runs import train

SERVER = """
import json, os, resource, sys, traceback
import torch, torch._dynamo
torch.set_num_threads(1)
import seqloom.cli.progress, seqloom.config.root, seqloom.inspect.views, seqloom.rehearsal, seqloom.runs
import sacrebleu.metrics, ruamel.yaml, sentencepiece

def run(job):
    os.setsid()
    os.chdir(job["folder"])
    for number, (path, flags) in enumerate(job["streams"]):
        os.dup2(os.open(path, flags, 0o600), number)
    sys.argv, sys.path[:0] = ["seqloom", *job["arguments"]], job["path"]
    os.environ.update(job["environment"])
    if job["file_limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"],) * 2)
    from seqloom.cli import main
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

jobs, answers = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w")
for line in jobs:
    job = json.loads(line)
    if "wait" in job:
        answer = os.waitpid(job["wait"], 0)[1]
    else:
        answer = os.fork()
        if not answer:
            run(job)
    print(answer, file=answers, flush=True)
"""


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str


class Process:
    """A command under way."""

    def __init__(self, server: Server, pid: int, streams: Path):
        self.server, self.pid, self.streams = server, pid, streams
        self.result: Result | None = None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> Result:
        """Wait for its end; a negative code is the signal that ended it."""
        if self.result is None:
            code = os.waitstatus_to_exitcode(self.server.ask({"wait": self.pid}))
            self.result = Result(code, self.said("out"), self.said("err"))
        return self.result

    def said(self, stream: str) -> str:
        return self.streams.with_suffix(f".{stream}").read_bytes().decode("utf8")

    def wait_for(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until something has happened."""
        end = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < end, f"waited in vain for {what}: {self.said('err')}"
            time.sleep(0.02)


class Server:
    """Starts commands."""

    def __init__(self) -> None:
        jobs, self.answers = os.pipe(), os.pipe()
        command = [sys.executable, "-c", SERVER, str(jobs[0]), str(self.answers[1])]
        self.process = subprocess.Popen(command, pass_fds=(jobs[0], self.answers[1]))
        os.close(jobs[0])
        os.close(self.answers[1])
        self.write, self.read = os.fdopen(jobs[1], "w"), os.fdopen(self.answers[0])

    def ask(self, job: dict[str, Any]) -> int:
        print(json.dumps(job), file=self.write, flush=True)
        return int(self.read.readline())

    def close(self) -> None:
        self.write.close()
        self.process.wait()
        self.read.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


class Seqloom:
    """The command in a folder."""

    def __init__(self, server: Server, folder: Path):
        self.server, self.folder, self.count = server, folder, 0
        self.streams = folder.parent / f"{folder.name}.streams"
        self.streams.mkdir(exist_ok=True)
        self.started: list[Process] = []

    def start(
        self,
        *arguments: object,
        input: bytes = b"",
        path: Path | None = None,
        file_limit: int | None = None,
        **environment: str,
    ) -> Process:
        """Start the command; `path` is where its plugins are, `file_limit` the most bytes of a file."""
        self.count += 1
        streams = self.streams / str(self.count)
        streams.with_suffix(".in").write_bytes(input)
        job = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(self.folder),
            "streams": [
                (str(streams.with_suffix(".in")), os.O_RDONLY),
                (str(streams.with_suffix(".out")), os.O_WRONLY | os.O_CREAT),
                (str(streams.with_suffix(".err")), os.O_WRONLY | os.O_CREAT),
            ],
            "path": [str(path)] if path else [],
            "environment": environment,
            "file_limit": file_limit,
        }
        for name in ("out", "err"):
            streams.with_suffix(f".{name}").touch()
        process = Process(self.server, self.server.ask(job), streams)
        self.started.append(process)
        return process

    def __call__(self, *arguments: object, **options: Any) -> Result:
        return self.start(*arguments, **options).wait()

    def refused(self, *arguments: object, code: int, **options: Any) -> str:
        """What the command says on standard error when it fails with this code; nothing may be on standard output."""
        result = self(*arguments, **options)
        assert (result.code, result.out) == (code, ""), result
        return result.err

    def close(self) -> None:
        for process in self.started:
            if process.result is None:
                process.send(signal.SIGKILL)
                process.wait()


@pytest.fixture
def seqloom(server: Server, tmp_path: Path) -> Iterator[Seqloom]:
    """The command, in an empty folder of its own."""
    folder = tmp_path / "folder"
    folder.mkdir()
    command = Seqloom(server, folder)
    yield command
    command.close()


@pytest.fixture(scope="session")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with checkpoints of steps 20 and 30; to be read, not changed."""
    run = tmp_path_factory.mktemp("trained") / "run"
    train(read_config(toy / "toy.yml"), run)
    return run


@pytest.fixture(scope="session")
def blind(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model has no attention."""
    run = tmp_path_factory.mktemp("blind") / "run"
    train(read_config(toy / "toy.yml", ["model.decoder.attention=null", "train.steps=2"]), run)
    return run
