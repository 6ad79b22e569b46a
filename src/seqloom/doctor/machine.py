"""Memory and disk: what there is, against what a training takes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from seqloom.doctor.findings import Finding, stop, warning

NEARLY_ALL = 0.9  # of the memory: what comes later, such as a longer sentence, may be too much
OWN_GROUPS = Path("/proc/self/cgroup")
UNLIMITED = 2**60  # bytes; what the system says where there is no limit


def memory_limit(device: torch.device, *, cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """The bytes that a training may take: of a GPU, or of the machine and of the control group that it runs in."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits(OWN_GROUPS, cgroups)])


def free_disk(directory: Path) -> int:
    """The free bytes where a run's directory is, or will be; what its checkpoints take is free for new ones."""
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    taken = sum(path.stat().st_size for path in directory.glob("checkpoints/*/*") if path.is_file())
    return shutil.disk_usage(place).free + taken


def memory_fit(peak: int, limit: int, *, in_validation: bool) -> Finding | None:
    """What to say of a peak that is nearly all the memory there is.

    Other toolkits ran out of memory hours later, at their first validation: marian-dev#869, transformers#13597.
    """
    if peak <= NEARLY_ALL * limit:
        return None
    said = f"memory: {mib(peak)} at the peak of {mib(limit)} that there are"
    if in_validation:
        return warning(f"{said}, because of validation; lower task.valid_beam_size or train.batch_tokens")
    return warning(
        f"{said}; halve train.batch_tokens and double train.accumulate, which gives the same updates in half the memory"
    )


def disk_fit(directory: Path, *, checkpoint: int, least: int, kept: int, free: int) -> Finding | None:
    """What to say where there is no room for a run's checkpoints: `kept` of them and one that is being written.

    A checkpoint has `checkpoint` bytes at most, and at least `least`.
    """
    if (kept + 1) * checkpoint <= free:
        return None
    said = f"{directory}: {mib(free)} are free, and a checkpoint takes {mib(checkpoint)}"
    if least > free:
        return stop(f"{said}; make room, or choose another place for the run with -o")
    return warning(f"{said}, of which {kept + 1} are there at a time; make room, or lower train.keep_last")


def mib(size: int) -> str:
    """Bytes as a reader says them: MiB, or GiB where there are many."""
    return f"{size / 2**30:,.1f} GiB" if size >= 10 * 2**30 else f"{size / 2**20:,.0f} MiB"


def _group_limits(listed: Path, root: Path) -> Iterator[int]:
    """The memory limits of the control groups of this process and of those above them, of either version."""
    try:
        lines = [line.split(":", 2) for line in listed.read_text().splitlines()]
    except OSError:
        return
    for _, kinds, group in (line for line in lines if len(line) == 3):
        if kinds and "memory" not in kinds.split(","):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if kinds else (root, "memory.max")
        place = top / group.strip("/")
        for directory in (place, *place.parents):
            if directory.is_relative_to(top):
                yield from _number(directory / name)


def _number(path: Path) -> list[int]:
    try:
        text = path.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() and int(text) < UNLIMITED else []
