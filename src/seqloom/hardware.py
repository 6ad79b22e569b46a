"""The machine: which device, which precision, and an allocator that suits training."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from seqloom.errors import UsageError


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one.  UsageError for one that isn't here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"there is no device {name!r}; use cpu, cuda, cuda:0, ..., or auto")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {name!r} was asked for, and this machine or this PyTorch has no GPU; use device=cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no device {name!r}; this machine has {torch.cuda.device_count()}, counted from 0")
    return device


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in the numbers that `product_type` says."""
    kind = product_type(precision, device)
    half = kind != torch.float32
    return torch.autocast(device.type, kind if half else torch.bfloat16, enabled=half)


def product_type(precision: str, device: torch.device) -> torch.dtype:
    """The numbers of matrix products: those asked for; for "auto" the fastest that a training can do with.

    That is bfloat16 where the machine multiplies it fast, float16 on older GPUs, and float32 elsewhere.
    """
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    if multiplies_bfloat16_fast(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32


def multiplies_bfloat16_fast(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16 matrices."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_flag("_is_amx_tile_supported")


def _cpu_flag(name: str) -> bool:
    # PyTorch has no public name for this.  AVX512-bf16 alone gains little on small matrices, AMX gains a factor of ten.
    flag = getattr(torch.cpu, name, None)
    return bool(flag and flag())


def suit_training() -> None:
    """Set this process up for training; to be called before its first matrix product.

    oneDNN compiles a kernel for every shape it meets, and keeps 1,024 of them: fewer than the shapes of one epoch of
    real batches, so that each would be compiled again and again (90 ms of a step of 700).  A batch of a Transformer
    takes some 20 kernels and 4 MB of them, so that four times as many are a gigabyte at most.  Between PyTorch and
    oneDNN there is another cache of the same kernels, with as much beside each: a small one does as well.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "4096")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Ask the C library to reuse large blocks instead of returning them to the system; nothing where it isn't glibc.

    A training step frees and takes the same large tensors again and again, and every fresh page costs a fault: fused
    Adam on 8 million weights took 56 ms before and 7 ms after.
    """
    trim_threshold, mmap_threshold = -1, -3  # the numbers of malloc.h
    if mallopt := _of_c_library("mallopt"):
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


def return_freed_memory() -> None:
    """Give the system back what is free now: for moments after which memory is used in another way.

    What was kept by `keep_freed_memory` and doesn't fit what comes next would only lie there: a few hundred megabytes
    after a validation or after a tokenizer was trained.
    """
    if trim := _of_c_library("malloc_trim"):
        trim(0)


def _of_c_library(name: str) -> Callable[..., int] | None:
    """A function of glibc, or None where the C library is another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (OSError, AttributeError):
        return None
