"""`seqloom import`: another toolkit's trained model as a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    foreign: Annotated[
        Path,
        typer.Argument(metavar="FOREIGN", help="The model: a file, or the directory it lies in.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUN", help="The run directory to make.", show_default=False)
    ],
    toolkit: Annotated[
        Literal["marian-hf", "marian", "fairseq", "joeynmt", "opennmt-py"] | None,
        typer.Option("--from", help="Whose it is, where its files don't say so.", show_default=False),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read a pickled checkpoint, in a process of its own.")
    ] = False,
) -> None:
    """Make a run of a model that another toolkit trained; it translates as it does there, and every command takes it.

    The toolkits are Hugging Face's transformers (MarianMT), Marian, fairseq, JoeyNMT and OpenNMT-py.
    """
    from seqloom.adoption import adopt
    from seqloom.compat.readers import guessed, reader

    theirs = toolkit or guessed(foreign)
    found = reader(theirs)(foreign, pickle_allowed=allow_pickle)
    adopt(output, model=found.model, search=found.search, weights=found.weights, tokenizers=found.tokenizers)
    for note in found.notes:
        print(f"seqloom: {note}", file=sys.stderr)
    golden = f"it has no golden texts yet: seqloom prove {output} --input TEXT"
    print(f"seqloom: wrote {output}, a model of {theirs}; {golden}", file=sys.stderr)
