"""The set-up: what is declared is pinned, nothing of one machine is written down, and what is missing is said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
PINS = [line for line in CONSTRAINTS.split("\n") if line and not line.startswith("#")]
NEEDS_PYTHON = (
    "Python 3.11 or newer with its venv module is needed (Debian, Ubuntu: apt install python3-venv); "
    "to name one: PYTHON=/path/to/python3 make ...\n"
)


def names(requirements: list[str]) -> set[str]:
    """The normalised names of requirements: ruamel-yaml of ruamel.yaml>=0.18."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;! ]", requirement)[0]).lower() for requirement in requirements}


def install(venv: Path, *, programs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tools/install.sh where nothing but a shell's own tools and `programs` can be found."""
    script = shutil.copytree(REPOSITORY / "tools", programs / "tools") / "install.sh"
    shutil.copy(REPOSITORY / "constraints.txt", programs)
    for tool in ("dirname", "sed", "rm", "uname", "grep"):
        (programs / tool).symlink_to(str(shutil.which(tool)))
    return subprocess.run(
        [str(shutil.which("sh")), str(script), str(venv), "dev"],
        env={"PATH": str(programs), "HOME": os.devnull, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def interpreter(path: Path, script: str) -> Path:
    """A program that stands in for Python."""
    path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder, with a space and an umlaut, for the programs that can be found."""
    folder = tmp_path / "a path ü"
    folder.mkdir()
    return folder


def test_everything_that_is_asked_for_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"].values()
    asked_for = names(PROJECT["dependencies"] + [requirement for extra in extras for requirement in extra])
    assert asked_for - {"seqloom"} <= names(PINS)
    assert "uv" in names(PINS)


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    pattern = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_]+ [=!<>]+ '[^'/]+')?")
    assert [pin for pin in PINS if not pattern.fullmatch(pin)] == []
    assert names(PINS).isdisjoint({"nvidia-cublas", "triton"})


def test_python_and_torch_are_no_older_than_is_safe() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    assert "torch>=2.10" in PROJECT["dependencies"]


@pytest.mark.skipif(os.name == "nt", reason="the set-up is written for a POSIX shell")
class TestInstall:
    """tools/install.sh, where it can't do its work."""

    def test_no_python_is_one_sentence(self, programs: Path) -> None:
        result = install(programs / "venv", programs=programs)
        assert (result.returncode, result.stdout, result.stderr) == (1, "", NEEDS_PYTHON)

    @pytest.mark.parametrize("script", ["exit 1", '[ "$1" = -c ]'], ids=["too old", "no venv module"])
    def test_a_python_that_will_not_do_is_one_sentence(self, programs: Path, script: str) -> None:
        interpreter(programs / "python3", script)
        result = install(programs / "venv", programs=programs)
        assert (result.returncode, result.stdout, result.stderr) == (1, "", NEEDS_PYTHON)
        assert not (programs / "venv").exists()

    def test_only_the_named_python_is_tried(self, programs: Path) -> None:
        interpreter(programs / "python3", "touch tried")
        result = install(
            programs / "venv", programs=programs, PYTHON=str(interpreter(programs / "my python", "exit 1"))
        )
        assert (result.returncode, result.stderr) == (1, NEEDS_PYTHON)

    def test_a_folder_that_is_no_environment_is_left_alone(self, programs: Path) -> None:
        interpreter(programs / "python3", '[ "$1" = -c ]')
        precious = programs / "thesis"
        precious.mkdir()
        (precious / "chapter.txt").write_text("years of work")
        result = install(precious, programs=programs)
        assert result.stderr == f"{precious} is there and is not a virtual environment; name another with VENV=...\n"
        assert (precious / "chapter.txt").read_text() == "years of work"

    def test_an_unknown_build_of_torch_is_one_sentence(self, programs: Path) -> None:
        binaries = programs / "venv" / "bin"
        binaries.mkdir(parents=True)
        interpreter(binaries / "python", "exit 0")
        result = install(programs / "venv", programs=programs, TORCH="tpu", INSTALLER="pip")
        assert (result.returncode, result.stderr) == (1, "TORCH is cpu, cuda or auto, got 'tpu'\n")


def test_what_is_run_may_be_run() -> None:
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
    if shutil.which("make"):
        plan = subprocess.run(["make", "-n", "test"], cwd=REPOSITORY, capture_output=True, text=True)
        assert plan.returncode == 0, plan.stderr
