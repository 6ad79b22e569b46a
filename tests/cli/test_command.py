"""The command as a whole: quick to say what it can do, clear when it can't, and quiet when nobody listens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMANDS = (
    "demo",
    "init",
    "convert",
    "check",
    "train",
    "translate",
    "evaluate",
    "inspect",
    "report",
    "infer",
    "beam-tree",
    "vocabulary",
    "toy-data",
)
HELP_SECONDS = 0.7


def seconds_of(*arguments: str) -> float:
    """Processor seconds of Python with these arguments."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_quick(command: str) -> None:
    """Or, on a machine busy with other things, a small multiple of importing the library that reads the arguments."""
    arguments = ["-m", "seqloom", *filter(None, [command]), "--help"]
    tries = (seconds_of(*arguments) < max(HELP_SECONDS, 5 * seconds_of("-c", "import typer")) for _ in range(3))
    assert any(tries)


ALL_HELP = """
import sys
from typer.testing import CliRunner
from seqloom.cli import application
for command in sys.argv[1:]:
    result = CliRunner().invoke(application(), [command, "--help"])
    assert result.exit_code == 0 and result.output.strip().startswith(f"Usage: seqloom {command}"), result.output
print(*sys.modules)
"""


def test_help_loads_nothing_heavy() -> None:
    out = subprocess.run([sys.executable, "-c", ALL_HELP, *COMMANDS], capture_output=True, text=True, check=True).stdout
    assert not set(out.split()) & {
        "torch",
        "numpy",
        "sacrebleu",
        "ruamel.yaml",
        "babel",
        "rich.progress",
        "sentencepiece",
    }


def test_help_names_every_command(seqloom: Any) -> None:
    out = seqloom("--help").out
    assert all(re.search(rf"^  {command} ", out, re.M) for command in COMMANDS)


def test_the_version_is_the_package_s(seqloom: Any) -> None:
    from importlib.metadata import version

    assert seqloom("--version").out == f"seqloom {version('seqloom')}\n"


def test_an_unknown_command_is_the_user_s_mistake(seqloom: Any) -> None:
    assert "No such command 'tarin'" in seqloom.refused("tarin", code=2)


def real(run: Path, shell: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A shell line in which $SEQLOOM stands for the command."""
    environment = {**os.environ, "SEQLOOM": f"'{sys.executable}' -m seqloom", "RUN": str(run)}
    return subprocess.run(["sh", "-c", shell], capture_output=True, env=environment, **options)


def test_whoever_has_read_enough_hears_no_complaint(trained: Path) -> None:
    result = real(trained, "yes 'a b' | head -n 2000 | eval $SEQLOOM translate '\"$RUN\"' | head -n 1")
    assert (result.returncode, result.stdout.count(b"\n"), result.stderr) == (0, 1, b"")


def test_a_full_disk_is_a_sentence(trained: Path) -> None:
    result = real(trained, "echo 'a b' | eval $SEQLOOM translate '\"$RUN\"' > /dev/full")
    assert (result.returncode, result.stderr) == (1, b"seqloom: No space left on device\n")


def test_text_is_utf8_whatever_the_surroundings_say(seqloom: Any, trained: Path) -> None:
    command = [sys.executable, "-m", "seqloom", "translate", str(trained), "--json"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, input="ä\n".encode(), capture_output=True, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert '"source": "ä"' in result.stdout.decode("utf8")
