"""Devices by name, and precision by what the machine can do."""

from __future__ import annotations

import os
import subprocess
import sys
from platform import libc_ver

import pytest
import torch

from seqloom import hardware
from seqloom.errors import UsageError
from seqloom.hardware import autocast, find_device, keep_freed_memory, return_freed_memory


def said(name: str) -> str:
    with pytest.raises(UsageError) as caught:
        find_device(name)
    return str(caught.value)


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("auto") == torch.device("cuda")
    assert find_device("cuda:1") == torch.device("cuda:1")
    assert said("cuda:2") == "there is no device 'cuda:2'; this machine has 2, counted from 0"


@pytest.mark.parametrize("name", ["tpu", "meta", "mps", "", "cuda:x", "0"])
def test_a_device_that_is_none(name: str) -> None:
    assert said(name) == f"there is no device {name!r}; use cpu, cuda, cuda:0, ..., or auto"


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sentence = "device 'cuda:0' was asked for, and this machine or this PyTorch has no GPU; use device=cpu"
    assert said("cuda:0") == sentence


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16", "auto"])
@pytest.mark.parametrize("fast", [True, False])
def test_products_are_made_in_the_precision_asked_for(
    precision: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "multiplies_bfloat16_fast", lambda device: fast)
    with autocast(precision, torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    auto = "bfloat16" if fast else "float32"
    assert product.dtype == getattr(torch, auto if precision == "auto" else precision)


@pytest.mark.parametrize("fast", [True, False])
def test_an_old_gpu_multiplies_float16(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "multiplies_bfloat16_fast", lambda device: fast)
    wanted = torch.bfloat16 if fast else torch.float16
    assert hardware.product_type("auto", torch.device("cuda")) == wanted


def test_a_machine_without_the_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: None) -> object:
        raise OSError

    monkeypatch.setattr(hardware.ctypes, "CDLL", nothing)
    keep_freed_memory()
    return_freed_memory()
    monkeypatch.setattr(hardware.sys, "platform", "darwin")
    monkeypatch.setattr(hardware.ctypes, "CDLL", None)
    keep_freed_memory()
    return_freed_memory()


KEEP = """
import sys
from seqloom.hardware import keep_freed_memory, return_freed_memory
import torch

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

keep_freed_memory()
before = resident()
blocks = [torch.ones(2**20) for _ in range(50)]  # 200 MB
kept = [torch.ones(16) for _ in range(50)]  # behind them, so that they are not at the end of the heap
del blocks
print(resident() - before > 150_000)
return_freed_memory()
print(resident() - before < 50_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept_until_it_is_returned() -> None:
    said = subprocess.run([sys.executable, "-c", KEEP], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said == "True\nTrue\n"


def test_kernels_are_kept_for_an_epochs_shapes_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    hardware.suit_training()
    assert [os.environ[name] for name in names] == ["4096", "64"]
    monkeypatch.setenv(names[0], "7")
    hardware.suit_training()
    assert os.environ[names[0]] == "7"
