"""A validation in small says what the whole would take, and leaves the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom.config.root import read_config
from seqloom.tasks.trial import spread
from seqloom.translate import Translator


@pytest.mark.parametrize("count, most", [(0, 3), (1, 3), (3, 3), (4, 3), (1000, 7)])
def test_what_is_spread_is_few_and_even(count: int, most: int) -> None:
    chosen = list(spread(count, most))
    assert len(chosen) <= most and len(chosen) >= min(count, most) / 2
    assert len({b - a for a, b in zip(chosen, chosen[1:], strict=False)}) <= 1
    assert chosen[:1] == [0][:count]


def test_it_decodes_the_longest_and_measures_the_largest_batch(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config(toy / "toy.yml", ["task={class: translation, valid_beam_size: 4}"])
    task = config.make_task()
    task.prepare(tmp_path)
    model = task.build(config.model)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sizes, decoded, translate = list[int](), list[Any](), Translator.translate

    def heard(self: Translator, sentences: Any, *arguments: Any, **options: Any) -> Any:
        decoded.append((self.options.beam_size, sentences))
        return translate(self, sentences, *arguments, **options)

    monkeypatch.setattr(Translator, "translate", heard)
    model.register_forward_pre_hook(lambda _, batch: sizes.append(batch[0].target.ids.numel()))
    assert task.rehearse(model) > 0
    ((beam, sentences),) = decoded
    assert beam == 4, "as validation does"
    assert max((toy / "valid.source").read_text().splitlines(), key=len) in sentences
    assert sizes == [max(sizes)] and sizes[0] > 0
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_what_was_prepared_is_what_is_trained_on(toy: Path, tmp_path: Path) -> None:
    task = read_config(toy / "toy.yml").make_task()
    task.prepare(tmp_path)
    found = task.prepared()
    assert found is not None
    assert [len(corpus) for corpus in (*found.training, *found.validation)] == [200, 20]
    assert [source for source, _ in found.valid_texts()] == (toy / "valid.source").read_text().splitlines()
    assert found.tokenizers.joint
