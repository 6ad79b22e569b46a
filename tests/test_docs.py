"""What the pages show is true: their Python runs, their YAML is checked, their commands and their links exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [page for page in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))] if page.exists()]
SHELLS = ("console", "sh", "bash", "shell")
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*?) -->\s*\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int  # of its first line of code
    language: str
    code: str
    reason: str | None  # why it is not run, if it is not

    @property
    def place(self) -> str:
        page = self.page.relative_to(REPOSITORY) if self.page.is_relative_to(REPOSITORY) else self.page.name
        return f"{page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page that name their language."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        code = "\n".join(row.removeprefix(match["indent"]) for row in match["code"].split("\n"))
        yield Block(page, line, match["language"], code, match["reason"])


def commands(block: Block) -> Iterator[list[str]]:
    """The words of every `seqloom` command in a block of shell, up to where a pipe or another command takes over."""
    for line in block.code.replace("\\\n", " ").split("\n"):
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for operator, words in groupby(lexer, key=lambda word: set(word) <= set("();<>|&")):
            command = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]
            if not operator and command and command[0].rpartition("/")[2] == "seqloom":
                yield command[1:]


def complaint(words: list[str], command: Any) -> str | None:
    """What is wrong with these words after `seqloom`, for the command of that name, or None."""
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help"}
    if hasattr(command, "commands") and words and not words[0].startswith("-"):
        inner = command.commands.get(words[0])
        return complaint(words[1:], inner) if inner else f"there is no command {words[0]!r}"
    used = [word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    unknown = [word for word in used if word not in known]
    return f"{command.name} has no option {unknown[0]}" if unknown else None


def of(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages that are to be run."""
    return [block for block in blocks(page) if block.language in languages and block.reason is None]


def run_python(found: list[Block]) -> None:
    """Run blocks one after another in one namespace, so that a mistake is reported at its line of the page."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in found:
        code = compile("\n" * (block.line - 1) + block.code, str(block.page), "exec", dont_inherit=True)
        exec(code, namespace)  # noqa: S102  the project's own pages


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_python(of(page, "python"))


@every_page
def test_every_block_of_a_page_is_run(page: Path) -> None:
    left_out = [f"{block.place} is not run: {block.reason}" for block in blocks(page) if block.reason is not None]
    if left_out:
        pytest.skip("; ".join(left_out))


@every_page
def test_every_configuration_of_a_page_is_right(page: Path, tmp_path: Path) -> None:
    whole = [block for block in of(page, "yaml") if {"model", "data"} <= set(re.findall(r"(?m)^(\w+):", block.code))]
    if whole:
        root = pytest.importorskip("seqloom.config.root", reason="nothing checks a configuration yet")
    for block in whole:
        path = tmp_path / block.place.replace("/", " ")
        path.write_text(block.code, encoding="utf-8")
        root.read_config(path)


@every_page
def test_the_commands_and_options_of_a_page_exist(page: Path) -> None:
    found = {f"{block.place}: {' '.join(words)}": words for block in of(page, *SHELLS) for words in commands(block)}
    if found:
        cli = pytest.importorskip("seqloom.cli", reason="there is no command yet")
        command = pytest.importorskip("typer.main").get_command(cli.application())
        complaints = {place: complaint(words, command) for place, words in found.items()}
        assert {place: what for place, what in complaints.items() if what} == {}


@every_page
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


PAGE = """# A page

```python
x = 1
```

<!-- not run: it needs a network -->
```python
fetch()
```

- in a list:

  ```console
  $ FAST=1 seqloom train a.yml \\
      steps=3 | tee log; .venv/bin/seqloom translate run < in.txt  # a comment
  loss 3.2
  ```

```python
assert x == 1
raise KeyError("x")
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    return tmp_path / "page.md"


def test_blocks_are_found_with_their_lines_and_reasons(page: Path) -> None:
    assert [(b.place, b.language, b.reason) for b in blocks(page)] == [
        ("page.md:4", "python", None),
        ("page.md:9", "python", "it needs a network"),
        ("page.md:15", "console", None),
        ("page.md:21", "python", None),
    ]


def test_blocks_of_a_page_share_names_and_a_mistake_has_its_line(page: Path) -> None:
    with pytest.raises(KeyError) as error:
        run_python(of(page, "python"))
    assert (error.traceback[-1].path, error.traceback[-1].lineno + 1) == (page, 22)


def test_commands_are_found_between_other_things(page: Path) -> None:
    found = [list(commands(block)) for block in of(page, "console")]
    assert found == [[["train", "a.yml", "steps=3"], ["translate", "run"]]]


def test_unknown_commands_and_options_are_found() -> None:
    typer = pytest.importorskip("typer")
    app = typer.Typer()

    @app.command()
    def train(config: str, steps: int = 3) -> None: ...

    @app.command()
    def check(config: str) -> None: ...

    command = typer.main.get_command(app)
    assert complaint(["train", "a.yml", "--steps=3"], command) is None
    assert complaint(["trian"], command) == "there is no command 'trian'"
    assert complaint(["check", "--steps", "3"], command) == "check has no option --steps"
