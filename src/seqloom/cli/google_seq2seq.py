"""The flags of google/seq2seq on our command line, and the configuration that a command gets of either kind of file."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from seqloom.compat.google_seq2seq.flags import ALIASES, EXTRA, TRAIN
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.compat.google_seq2seq import Translation
    from seqloom.config.root import Config

PANEL = "google/seq2seq"


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every flag of google/seq2seq's training, each in both spellings.

    It is called with the ones that were used as `flags`, by name.
    """

    @functools.wraps(command)
    def called(**arguments: Any) -> None:
        flags = {name: arguments.pop(name) for name in options}
        command(**arguments, flags={name: value for name, value in flags.items() if value not in (None, [])})

    hints = get_type_hints(command, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(command).parameters.values()]
    options = {row.key: _option(row.key, row.default, row.ours) for row in (*TRAIN, *EXTRA)}
    called.__annotations__ = {}
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(p for p in own if p.name != "flags"), *options.values()]
    )
    return called


def read(config: Path | None, changes: Sequence[str], flags: Mapping[str, Any]) -> tuple[Config, Path]:
    """The configuration that a file of ours, or files and flags of theirs, describe, and where to train it.

    What there is to say about a translation goes to standard error.  Raises UsageError.
    """
    from seqloom.config import build
    from seqloom.config.root import Config, read_config

    if config is not None and "=" in str(config) and not config.exists():  # a change, since CONFIG may be left out
        config, changes = None, [str(config), *changes]
    if config is not None and not flags and not _is_theirs(config):
        return read_config(config, changes), Path("runs") / config.stem
    files = [config] if config is not None else []
    translation, files = translated(files, flags)
    if not translation.has_text:
        raise UsageError("there is no text to train on: give --train-source FILE and --train-target FILE")
    tree = translation.tree
    for change in changes:
        tree = tree.override(change)
    for notice in translation.notices:
        print(f"seqloom: {notice}", file=sys.stderr)
    name = files[0].stem if files else "run"
    return build(Config, tree), Path(translation.output or Path("runs") / name)


def translated(files: Sequence[Path], flags: Mapping[str, Any]) -> tuple[Translation, list[Path]]:
    """Files of theirs and those of --config-paths, with flags, in our configuration; and all the files.

    Raises UsageError.
    """
    from seqloom.compat.google_seq2seq import gather, is_theirs, read_file, translate
    from seqloom.config.tree import text_of

    if os.environ.get("TF_CONFIG"):
        raise UsageError("TF_CONFIG asks for several machines, but one process trains here: unset it to go on")
    more = [Path(part.strip()) for part in str(flags.get("config_paths", "")).split(",") if part.strip()]
    paths = [*files, *more]
    if not paths and not flags.get("model"):
        raise UsageError("name a YAML file, or give --config-paths")
    texts = {path: text_of(path) for path in paths}
    for path in files:
        if flags and "data" in read_file(texts[path], str(path)).value and not is_theirs(texts[path], str(path)):
            used = " ".join(f"--{name}" for name in flags)
            raise UsageError(f"{path} is Seqloom's own: {used} is for files of google/seq2seq; write KEY=VALUE")
    trees = [read_file(text, str(path)) for path, text in texts.items()]
    options, notices = gather(trees, {name: value for name, value in flags.items() if name != "config_paths"})
    translation = translate(options)
    translation.notices[:0] = notices
    return translation, paths


def _is_theirs(path: Path) -> bool:
    from seqloom.compat.google_seq2seq import is_theirs
    from seqloom.config.tree import text_of

    return is_theirs(text_of(path), str(path))


def _option(name: str, default: Any, ours: str) -> inspect.Parameter:
    """An option that takes text; those of files can be repeated."""
    repeated = name in {row.key for row in EXTRA if isinstance(row.default, list)}
    names = [name, *(alias for alias, meant in ALIASES.items() if meant == name)]
    spellings = [f"--{spelling}" for each in names for spelling in dict.fromkeys((each.replace("_", "-"), each))]
    metavar = "YAML" if isinstance(default, (dict, list)) and not repeated else "FILE" if repeated else None
    help_text = f"google/seq2seq: {ours.replace('`', '')}."
    option = typer.Option(*spellings, metavar=metavar, help=help_text, show_default=False, rich_help_panel=PANEL)
    hint: Any = Annotated[list[str] | None, option] if repeated else Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
