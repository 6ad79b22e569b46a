"""A training step doesn't make the host wait for the device: it is taken on one that has no values to wait for.

PyTorch's meta device knows shapes only, and everything but "cpu" takes the way that a GPU takes.  Whatever would need a
value from it, or bring one there, is caught by name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import seqloom.train.update
from seqloom.attention import AdditiveAttention, Attention
from seqloom.decoders import Decoder, RNNDecoder
from seqloom.encoders import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.models import Model
from seqloom.optim import Ftrl, Optimizer
from seqloom.registry import known
from seqloom.structures import Batch, Sequences
from seqloom.tasks.translation import teacher_forced
from seqloom.train import TrainOptions, Update

from .conftest import QUERY, SYMBOLS, WIDTHS, Case
from .test_resume import Pair, Reader, variants

aten = torch.ops.aten
META = torch.device("meta")
# What needs a value: a number for the host, or a shape that depends on what is in a tensor.
ASKING = {
    *(aten._local_scalar_dense, aten.item, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero),
    *(aten.unique_consecutive, aten._unique, aten._unique2, aten.unique_dim, aten.bincount, aten.histc),
    *(aten.masked_scatter_backward, aten._embedding_bag),
}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


# Which parts wait nevertheless: a word of the case's name, the operator that waits first, and why.
WAITING = {
    "experts": ("bincount|index", "how many positions an expert gets is decided by what is in them"),
    "HierarchicalEncoder": ("index", "how many sentences a row has is decided by the symbols in it"),
    "TwoSourceEncoder": ("index_put_", "where the first text ends is decided by the symbols of a row"),
}


class Waits(Exception):
    """An operator would make the host wait."""


class NoWaiting(TorchDispatchMode):
    """Raises Waits at the first operator that would."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [x for x in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        why = waits(func.overloadpacket, args, given, kwargs or {})
        if why:
            raise Waits(f"{func}: {why}")
        if func.overloadpacket == aten._fused_sgd_:  # it works in place, and isn't written for meta
            return None
        return func(*args, **(kwargs or {}))


def waits(packet: Any, args: Any, given: list[Tensor], kwargs: Any) -> str:
    """Why the host would wait, or nothing."""
    there = [x for x in given if x.device.type == "meta"]
    here = [x for x in given if x.device.type == "cpu" and x.ndim]
    if here and (there or torch.device(kwargs.get("device") or "cpu").type == "meta"):
        return "a tensor of the host goes to the device, from memory that isn't pinned"
    if not there:
        return ""
    if packet in ASKING or (packet == aten._to_copy and torch.device(kwargs.get("device") or META).type == "cpu"):
        return "the host asks for a value"
    if packet == aten.repeat_interleave and "output_size" not in kwargs:
        return "the host asks how many there are"
    if packet in INDEXING and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
        return "the host asks how many are True"
    return ""


@pytest.fixture(autouse=True)
def _no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one wait of an update gets its answer; autocast, which meta lacks, is as if it were switched off."""
    monkeypatch.setattr(seqloom.train.update, "awaited", lambda total, norm: [1.0, 1.0])
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **options: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *arguments: False)


def batch() -> Batch:
    mask = torch.arange(5)[None] < torch.tensor([5, 3, 4])[:, None]
    source, target = (torch.randint(2, SYMBOLS, (3, 5)) for _ in range(2))
    return Batch(Sequences(source, mask), Sequences(target, mask))


def step(model: nn.Module, optimizer: Callable[..., Optimizer] = Ftrl) -> None:
    """One update by two batches."""
    options = TrainOptions(optimizer=optimizer, precision="float32", accumulate=2, clip_embeddings=1.0, ema=0.9)
    update = Update(model.to(META), partial(teacher_forced, label_smoothing=0.1), options, META)
    batches = [batch().to(META) for _ in range(2)]
    with NoWaiting():
        update(batches, seeds=[1, 2], rate=0.1, most=10.0)
    assert any(weight.grad is not None for weight in model.parameters()), "it was a step"


def check(case: Case, model: Model) -> None:
    """It waits only where it is known to: what is listed without need is to be struck off."""
    operator = next((operator for word, (operator, _) in WAITING.items() if word in case.name), None)
    with pytest.raises(Waits, match=rf"^aten\.({operator})\.") if operator else nullcontext():
        step(model)


def under_a_decoder(encoder: Any) -> Model:
    attention = partial(AdditiveAttention, size=8)
    return Pair(encoder, RNNDecoder(Embedding(SYMBOLS, QUERY), encoder.widths, size=8, attention=attention))


@variants(Encoder)
def test_no_encoder_makes_the_host_wait(case: Case) -> None:
    check(case, under_a_decoder(case.build().float()))


@variants(Decoder)
def test_no_decoder_makes_the_host_wait(case: Case) -> None:
    check(case, Pair(Reader(case.widths), case.build().float()))


@variants(Attention)
def test_no_attention_makes_the_host_wait(case: Case) -> None:
    attention = partial(case.cls, **case.options)
    decoder = RNNDecoder(Embedding(SYMBOLS, QUERY), case.widths, size=QUERY, attention=attention)
    check(case, Pair(Reader(case.widths), decoder))


# What an optimizer of PyTorch's own asks for, and why it is left so.
ASKING_OPTIMIZERS = {"Adafactor": "its rate depends on the size of each weight, which PyTorch fetches one by one"}


@pytest.mark.parametrize("optimizer", sorted(known(Optimizer), key=lambda cls: cls.__name__), ids=lambda o: o.__name__)
def test_no_optimizer_makes_the_host_wait(optimizer: type[Optimizer], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in list(sys.modules.items()):  # a fused update is one kernel, which PyTorch has for real devices
        if name.startswith("torch.") and hasattr(module, "_get_fused_kernels_supported_devices"):
            monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: ["meta"])
    model = Pair(Reader(WIDTHS), RNNDecoder(Embedding(SYMBOLS, QUERY), WIDTHS, size=QUERY))
    if optimizer.__name__ in ASKING_OPTIMIZERS:
        with pytest.raises(Waits, match="_local_scalar_dense"):
            step(model, optimizer)
    else:
        step(model, optimizer)


def asks(value: Tensor) -> list[tuple[str, Callable[[], object]]]:
    """Things that a step must not do, each with a word of the complaint."""
    real = value > 0
    return [
        ("_local_scalar_dense", lambda: value.sum().item()),
        ("_local_scalar_dense", lambda: bool(real.any())),
        ("_to_copy", lambda: value.tolist()),
        ("_to_copy", lambda: torch.ones(3).to(META)),
        ("index.Tensor", lambda: value[real]),
        ("index_put_", lambda: value.index_put_((real,), torch.zeros((), device=META))),
        ("masked_select", lambda: value.masked_select(real)),
        ("nonzero", lambda: real.nonzero()),
        ("repeat_interleave", lambda: value.repeat_interleave(torch.ones(3, dtype=torch.int64, device=META))),
        ("mm", lambda: torch.ones(1, 3) @ value[:, None]),
    ]


@pytest.mark.parametrize("number", range(10))
def test_what_waits_is_found(number: int) -> None:
    word, ask = asks(torch.ones(3, device=META))[number]
    with pytest.raises(Waits, match=word), NoWaiting():
        ask()
