"""Who may import whom: the table of docs/design.md, held against every import in the package."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "seqloom"

VALUES = {"bounds", "structures", "registry", "vocabulary", "errors", "hardware", "ranks"}
PARTS = {"attention", "layers"}
TEXT = {"tokenizers", "data", "metrics"}
LEARNING = {"models", "losses", "search"}
TRAINING = {"optim", "train", "hooks", "checkpoint"}
TRANSLATING = {"tasks", "engines", "glossary", "guard", "translation", "rendering", "scoring", "alignment"}
BELOW_USE = VALUES | PARTS | {"encoders", "decoders"} | TRANSLATING | LEARNING | TEXT | TRAINING
USE = {
    *(
        "config",
        "translate",
        "runs",
        "bundles",
        "loading",
        "rehearsal",
        "fitting",
        "doctor",
        "averaging",
        "adoption",
        "proof",
        "comparison",
    ),
    *("exporting", "bulk", "reranking", "shortlists"),
}
FRONT = {"inspect", "story", "demo", "cli", "compat"}

# What each part may import, beside itself; `decoders.base` stands for that one module.
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(VALUES, VALUES),
    **dict.fromkeys(PARTS, VALUES | PARTS),
    **dict.fromkeys(["encoders", "decoders"], VALUES | PARTS),
    "models": VALUES | PARTS | {"encoders", "decoders"},
    **dict.fromkeys(["losses", "search"], VALUES | PARTS | {"decoders.base"}),
    **dict.fromkeys(["tokenizers", "metrics"], VALUES),
    "data": VALUES | {"tokenizers"},
    # Validation translates freely, so a task needs the one way from text to text, which is built from the same parts.
    "glossary": VALUES | TEXT | {"search"},
    "guard": VALUES | {"search", "engines", "glossary"},
    "engines": VALUES | LEARNING | TEXT,
    "translation": VALUES | TEXT | {"search", "glossary"},
    "rendering": VALUES | TEXT | {"search", "engines", "translation"},
    "scoring": VALUES | TEXT | {"search", "engines", "translation"},
    "alignment": VALUES | {"translation"},
    "translate": VALUES | LEARNING | TEXT | {"engines", "glossary", "guard", "translation", "rendering", "scoring"},
    "reranking": VALUES | TEXT | {"translation", "translate"},
    "tasks": VALUES | LEARNING | TEXT | {"translate", "engines"},
    **dict.fromkeys(TRAINING, VALUES | TEXT | TRAINING | {"tasks.base"}),
    **dict.fromkeys(USE - {"translate"}, BELOW_USE | USE),
    **dict.fromkeys(["inspect", "story", "demo"], BELOW_USE | USE | FRONT - {"compat"}),
    "cli": BELOW_USE | USE | FRONT,
    # It reads and writes others' files and builds no model: it knows ours by the names of their weights.
    "compat": VALUES | {"config", "tokenizers", "checkpoint", "layers.positions"},
    "__init__": BELOW_USE | USE,
    "__main__": {"cli"},
}

# Who may use what others wrote, beside the standard library; torch and numpy are everyone's.
MAY_USE: dict[str, set[str]] = {
    "ruamel": {"config"},
    "typer": {"cli"},
    "rich": {"cli", "demo"},
    "sacrebleu": {"metrics"},
    "matplotlib": {"inspect"},
    "babel": {"demo"},
    "sentencepiece": {"tokenizers"},
    "PIL": {"tokenizers"},
    "safetensors": {"checkpoint", "encoders", "compat", "search"},
    "zstandard": {"data"},
    "ray": {"bulk"},
    "ctranslate2": {"engines", "exporting"},
    "onnx": {"exporting"},
    "onnxscript": {"exporting"},
    "onnxruntime": {"engines", "exporting"},
    "py3langid": {"data"},
}


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that the code imports, wherever it does so, with the names taken from it: `torch.nn`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            yield from (".".join([*above, *filter(None, [node.module]), name.name]) for name in node.names)


def part_of(path: Path) -> str:
    """The first name below the package: `search` of search/beam.py, `train` of train.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def complaints(part: str, modules: Iterator[str]) -> list[str]:
    """A sentence for every module that this part of the package may not import."""
    found = []
    for module in modules:
        top, _, inside = module.partition(".")
        if top == "seqloom":
            names = inside.split(".")
            if names[0] not in (part, "__version__") and not {names[0], ".".join(names[:2])} & MAY_IMPORT[part]:
                found.append(f"{part} may not import {module}")
        elif part not in MAY_USE.get(top, set()) and top not in {*sys.stdlib_module_names, "torch", "numpy"}:
            found.append(f"{part} may not import {module}")
        elif part in TEXT and module.startswith("torch.nn"):
            found.append(f"{part} may not import {module}")
    return found


def modules_of(text: str, part: str) -> list[str]:
    return complaints(part, imported(ast.parse(text), f"seqloom.{part}"))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    package = ".".join(["seqloom", *path.relative_to(PACKAGE).parent.parts])
    assert part_of(path) in MAY_IMPORT, (
        f"say in tests/test_layers.py and docs/design.md what {part_of(path)} may import"
    )
    assert not complaints(part_of(path), imported(ast.parse(path.read_text(encoding="utf-8")), package))


def test_no_file_asks_numpy_to_unpickle() -> None:
    for path in PACKAGE.rglob("*.py"):
        words = (
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.keyword)
        )
        assert not [f"{path}:{word.lineno}" for word in words if word.arg == "allow_pickle"]


@pytest.mark.parametrize(
    ("part", "line", "complaint"),
    [
        (
            "search",
            "from seqloom.decoders.rnn import RNNDecoder",
            "search may not import seqloom.decoders.rnn.RNNDecoder",
        ),
        ("search", "from ..decoders import rnn", "search may not import seqloom.decoders.rnn"),
        ("losses", "import seqloom.encoders.base", "losses may not import seqloom.encoders.base"),
        ("encoders", "from seqloom import decoders", "encoders may not import seqloom.decoders"),
        (
            "train",
            "def f():\n    from seqloom.tasks.translation import X",
            "train may not import seqloom.tasks.translation.X",
        ),
        ("data", "from torch import nn", "data may not import torch.nn"),
        ("models", "import rich.progress", "models may not import rich.progress"),
        ("data", "import pandas", "data may not import pandas"),
    ],
)
def test_a_forbidden_import_is_found(part: str, line: str, complaint: str) -> None:
    assert modules_of(line, part) == [complaint]


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("search", "from seqloom.decoders.base import Decoder"),
        ("train", "from seqloom.tasks.base import Task"),
        ("decoders", "from .base import Decoder"),
        ("data", "import torch"),
        ("cli", "import typer"),
    ],
)
def test_a_good_import_is_let_through(part: str, line: str) -> None:
    assert not modules_of(line, part)


def test_what_the_front_shows_is_nobody_elses_business() -> None:
    for part in MAY_IMPORT.keys() - FRONT - {"__main__"}:
        assert not MAY_IMPORT[part] & FRONT
