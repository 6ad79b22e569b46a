"""What nobody can find out about a training afterwards."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from seqloom.hardware import product_type
from seqloom.hooks.base import write_text
from seqloom.train import Trainer

PACKAGES = ("seqloom", "torch", "numpy", "sentencepiece", "safetensors", "sacrebleu")


class Facts:
    """Writes RUN/facts.json: what became of the data, how large the model is, and where and when each start was.

    It names no host and no user, since run directories are passed on.
    """

    def __init__(self, path: Path):
        self.path = path

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "started":
            starts = _starts(self.path) if metrics["resumed"] else []
            facts = _data(trainer) | {
                "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
                "starts": [*starts, {"step": metrics["step"], **_machine(trainer)}],
            }
            write_text(self.path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def _starts(path: Path) -> list[Any]:
    """The starts before this one; none from a file that is missing or that somebody changed."""
    try:
        starts = json.loads(path.read_bytes())["starts"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return starts if isinstance(starts, list) else []


def _data(trainer: Trainer) -> dict[str, Any]:
    source, target = trainer.task.symbols()
    facts: dict[str, Any] = {"source_symbols": source, "target_symbols": target}
    prepared = trainer.task.prepared()
    for part in ("training", "validation") if prepared else ():
        reports = [corpus.report for corpus in getattr(prepared, part)]
        facts[part] = [asdict(report) | {"said": str(report)} for report in reports]
    return facts


def _machine(trainer: Trainer) -> dict[str, Any]:
    device = trainer.device
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": _gpu(device) if device.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": _memory(),
        "ranks": trainer.ranks.size,
        "precision": str(product_type(trainer.options.precision, device)).removeprefix("torch."),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }


def _gpu(device: torch.device) -> str:
    return f"{torch.cuda.get_device_name(device)}, {torch.cuda.device_count()} there"


def _processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf8", "replace").split("\n")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> int | None:
    """Bytes of main memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # a system that doesn't say
        return None


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that decide what a training does."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # read from its source folder
        return None
