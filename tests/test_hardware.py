"""Devices by name, and precision by what the machine can do."""

from __future__ import annotations

import pytest
import torch

from seqloom import hardware
from seqloom.errors import UsageError
from seqloom.hardware import autocast, find_device, keep_freed_memory


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
    monkeypatch.setattr(hardware.sys, "platform", "darwin")
    monkeypatch.setattr(hardware.ctypes, "CDLL", None)
    keep_freed_memory()
