"""The command `seqloom`: one thin file a subcommand, each importing what it needs when it runs."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Annotated

import typer

from seqloom.cli import preparing
from seqloom.cli.groups import grouped
from seqloom.errors import SeqloomError, is_out_of_memory

COMMANDS = (
    *("demo", "init", "convert", "check", "train", "translate", "translate-files", "backtranslate", "distill"),
    *("evaluate", "score", "average", "shortlist", "export", "import", "inspect", "prove", "report", "infer"),
    *("beam-tree", "vocabulary", "toy-data"),
)
PRINTING = (["translate"], ["score"])  # commands whose whole result is what they print


def application(*commands: str) -> typer.Typer:
    """The command with these subcommands, or with all: who wants one needn't wait for what the others import."""
    app = typer.Typer(
        name="seqloom",
        help="Sequence-to-sequence models from one YAML file: train, translate, measure, and see what they attend to.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for name in commands or COMMANDS:
        module = name.replace("-", "_") + "_" * iskeyword(name)
        app.command(name)(grouped(import_module(f"seqloom.cli.{module}").command))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from seqloom import __version__

        print(f"seqloom {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Sequence-to-sequence models from one YAML file: train, translate, measure, and see what they attend to."""


def main() -> None:
    """Run the command and exit: 0 done, 1 failed, 2 the user's arguments or configuration, 130 and 143 interrupted."""
    unheard = sys.stdout is None and sys.argv[1:2] in PRINTING
    _open_what_is_closed()
    if unheard:
        _fail("there is no standard output: it was closed before the command began", 2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as the input is, whatever the locale says
    logging.basicConfig(level=logging.WARNING, format="seqloom: %(message)s", stream=sys.stderr)
    logging.getLogger("seqloom").setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)
    try:
        with preparing.shown():
            application(*(name for name in sys.argv[1:2] if name in COMMANDS))()
    except SeqloomError as error:
        _fail(f"{error}", error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough.  Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail("there is not enough memory for this: make the model or the batches smaller", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _open_what_is_closed() -> None:
    """Let an output that was closed before the command began swallow what it is told."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _fail(message: str, code: int) -> None:
    rank = os.environ.get("RANK", "0")
    who = "seqloom" if rank == "0" else f"seqloom, rank {rank}"
    for line in message.split("\n"):
        print(f"{who}: {line}", file=sys.stderr)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a buffer that can't be written must not turn into a second, less clear message
