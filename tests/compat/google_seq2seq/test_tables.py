"""Every class and every key of the tables: saying the default changes nothing, saying something else does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from seqloom.compat.google_seq2seq.flags import TRAIN
from seqloom.compat.google_seq2seq.page import FAMILIES
from seqloom.compat.google_seq2seq.rows import Named, Row
from seqloom.config import build
from seqloom.config.root import Config
from seqloom.registry import ConfigError

# Another value of keys whose type alone doesn't say one.
OTHER: dict[str, Any] = {
    "activation": "relu",
    "activation_fn": "tensorflow.tanh",
    "attention.class": "AttentionLayerDot",
    "attention.params": {"num_units": 7},
    "bridge.class": "PassThroughBridge",
    "buckets": "10,20",
    "bridge.params": {"activation_fn": "tensorflow.nn.relu"},
    "bridge_input": "outputs",
    "checkpoint_path": "runs/other",
    "decoder.class": "BeamSearchDecoder",
    "decoder.params": {"max_decode_length": 7},
    "embedding.share": True,
    "encoder.class": "StackBidirectionalRNNEncoder",
    "encoder.params": {"rnn_cell": {"num_layers": 2}},
    "eos_token": "</s>",
    "epsilon": 1e-6,
    "forget_bias": 2.0,
    "hooks": [{"class": "MetadataCaptureHook"}],
    "inference.beam_search.choose_successors_fn": "choose_another",
    "initializer": "zeros",
    "input_pipeline_dev": {
        "class": "ParallelTextInputPipeline",
        "params": {"source_files": ["a"], "target_files": ["b"]},
    },
    "input_pipeline_train": {"class": "ParallelTextInputPipeline", "params": {"source_delimiter": ""}},
    "metrics": [{"class": "RougeMetricSpec", "params": {"rouge_type": "rouge_1/f_score"}}],
    "model": "BasicSeq2Seq",
    "model_params": {"embedding.dim": 7},
    "name": "training",
    "output_dir": "runs/mine",
    "optimizer.lr_decay_type": "inverse_time_decay",
    "optimizer.name": "SGD",
    "optimizer.params": {"beta1": 0.5},
    "pooling_fn": "tensorflow.layers.max_pooling1d",
    "position_embeddings.combiner_fn": "tensorflow.add",
    "postproc_fn": "seq2seq.data.postproc.strip_bpe",
    "prefix": "model/att_seq2seq/encode/",
    "rnn_cell.cell_class": "tensorflow.contrib.rnn.GRUCell",
    "rnn_cell.cell_params": {"num_units": 7},
    "rnn_cell.residual_combiner": "concat",
    "rouge_type": "rouge_2/p_score",
    "schedule": "train",
    "separator": "_",
    "source_delimiter": "",
    "sos_token": "<s>",
    "source_files": ["one"],
    "target_delimiter": "",
    "target_files": ["one"],
    "vocab_source": "vocab",
    "vocab_target": "vocab",
    "learning_rate_power": -0.7,
}
# What else must be so for a key to have an effect; keys of the same mapping.
WITH: dict[str, dict[str, Any]] = {
    "rnn_cell.residual_connections": {"rnn_cell.num_layers": 2},
    "rnn_cell.residual_combiner": {"rnn_cell.num_layers": 2, "rnn_cell.residual_connections": True},
    "rnn_cell.residual_dense": {"rnn_cell.num_layers": 2, "rnn_cell.residual_connections": True},
    "bridge.params": {"bridge.class": "InitialStateBridge"},
    **{
        f"optimizer.lr_{key}": {"optimizer.lr_decay_type": "exponential_decay"}
        for key in ("decay_steps", "decay_rate", "start_decay_at", "stop_decay_at", "min_learning_rate", "staircase")
    },
    "optimizer.lr_stop_decay_at": {"optimizer.lr_decay_type": "exponential_decay"},
    "use_nesterov": {"momentum": 0.9},
    "prefix": {"checkpoint_path": "runs/other"},
}
# What a class can't be without.
NEEDED: dict[str, dict[str, Any]] = {
    "Momentum": {"momentum": 0.5},
    "RougeMetricSpec": {"rouge_type": "rouge_l/f_score"},
    "VariableRestoreHook": {"checkpoint_path": "runs/one"},
    "ParallelTextInputPipeline": {"source_files": ["a"], "target_files": ["b"]},
    "Image2Seq": {"encoder.params": {"resize_height": 32, "resize_width": 32}},
    "InceptionV3Encoder": {"resize_height": 32, "resize_width": 32},
}


class Case(NamedTuple):
    """A key of a class, or of the command line where the class is empty."""

    family: str
    owner: str
    row: Row


def every_key() -> Iterator[Case]:
    yield from (Case("flags", "", row) for row in TRAIN if row.key != "config_paths")
    for name, family in FAMILIES.items():
        if name != "tasks":  # what seqloom infer does
            yield from (Case(name, member.name, row) for member in working(family.members) for row in member.rows)


def working(members: tuple[Named, ...]) -> list[Named]:
    return [member for member in members if not member.refused]


CASES = list(every_key())


def file(case: Case, params: dict[str, Any]) -> dict[str, Any]:
    """A file of theirs in which the class of the case has these parameters."""
    name = case.owner
    model: dict[str, Any] = {"model": "AttentionSeq2Seq", "model_params": {}}
    match case.family:
        case "flags":
            return model | params
        case "models":
            return {"model": name, "model_params": params}
        case "encoders" if name == "InceptionV3Encoder":
            return {"model": "Image2Seq", "model_params": {"encoder.class": name, "encoder.params": params}}
        case "decoders" if name == "BasicDecoder":
            return {"model": "BasicSeq2Seq", "model_params": {"decoder.params": params}}
        case "encoders" | "decoders" | "attention" | "bridges" as family:
            kind = family.removesuffix("s")
            prefix = "seq2seq.decoders." if kind == "decoder" else ""
            return model | {"model_params": {f"{kind}.class": prefix + name, f"{kind}.params": params}}
        case "cells":
            cell = {"cell_class": name, "cell_params": params}
            return model | {"model_params": {"encoder.params": {"rnn_cell": cell}}}
        case "optimizers":
            return model | {"model_params": {"optimizer.name": name, "optimizer.params": params}}
        case "hooks" | "metrics" as family:
            return model | {family: [{"class": name, "params": params}]}
        case "pipelines":
            return model | {"input_pipeline_train": {"class": name, "params": params}}
    raise AssertionError(case.family)


def other(case: Case) -> Any:
    row = case.row
    if case.owner == "Image2Seq" and row.key == "encoder.params":
        return {"resize_height": 40, "resize_width": 32}
    if row.key in OTHER:
        return OTHER[row.key]
    kind, default = row.type or type(row.default), row.default
    if kind is bool:
        return not default
    if kind is float:
        return (default or 0.0) / 2 if default else 0.25
    assert kind is int, f"say in OTHER what {row.key} could be"
    return (default or 0) + 3 if default != 2**31 - 1 else 5


def said(translation: Any, case: Case, params: dict[str, Any]) -> tuple[Any, list[str]]:
    """What a file becomes, and the notices without their lines."""
    flags: dict[str, Any] = {}
    if case.family in ("pipelines", "flags"):
        flags = {"train_source": [], "train_target": []}
    context = NEEDED.get(case.owner, {}) | (WITH.get(case.row.key, {}) if params != {case.row.key: []} else {})
    result = translation(file(case, context | params), **flags)
    return (result.tree, result.output), [notice.partition(": ")[2] for notice in result.notices]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.owner}-{case.row.key}")
def test_the_default_said_aloud_is_the_default(translation: Any, case: Case) -> None:
    default = case.row.default
    if default is None and case.row.key in NEEDED.get(case.owner, {}):
        return
    if case.row.key in NEEDED.get(case.owner, {}):
        default = NEEDED[case.owner][case.row.key]
    if case.row.key == "model":
        default = "AttentionSeq2Seq"
    (written, output), _ = said(translation, case, {case.row.key: default})
    (left_out, other_output), _ = said(translation, case, {})
    assert (written.value, output) == (left_out.value, other_output)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.owner}-{case.row.key}")
def test_another_value_has_an_effect_or_is_refused_or_noticed(translation: Any, case: Case) -> None:
    row, value = case.row, other(case)
    refused = row.refused or (row.choices and value not in row.choices and "expected one of") or ""
    if refused or (case.owner, row.key) in CANNOT:
        with pytest.raises(ConfigError) as error:
            said(translation, case, {row.key: value})
        assert str(error.value).split("\n")[0].endswith(refused) or refused in str(error.value)
        return
    (before, output), old = said(translation, case, {})
    (after, other_output), new = said(translation, case, {row.key: value})
    if row.notice or row.ours.startswith("nothing"):
        assert after.value == before.value
        expected = [f"{dotted(case)}: {row.notice}"] if row.notice else []
        assert [notice for notice in new if notice not in old] == expected
    else:
        assert (after.value, output) != (before.value, other_output)
        if "train" in after.value["data"]:
            build(Config, after)  # it is a configuration of ours


# What can't be alone, and is said below.
CANNOT = {
    ("BasicSeq2Seq", "decoder.class"),
    ("AttentionSeq2Seq", "decoder.class"),
    ("Image2Seq", "decoder.class"),
    ("Image2Seq", "encoder.class"),
}


def dotted(case: Case) -> str:
    """Where the key stands in the file of the case."""
    place = {
        "flags": "",
        "models": "model_params.",
        "encoders": "model_params.encoder.params.",
        "cells": "model_params.encoder.params.rnn_cell.cell_params.",
        "optimizers": "model_params.optimizer.params.",
        "hooks": "hooks.0.params.",
        "metrics": "metrics.0.params.",
        "pipelines": "input_pipeline_train.params.",
    }
    return place[case.family] + case.row.key


REFUSED = [(name, member) for name, family in FAMILIES.items() for member in family.members if member.refused]


@pytest.mark.parametrize(("family", "member"), REFUSED, ids=lambda item: getattr(item, "name", item))
def test_a_class_that_is_not_here_is_refused_with_its_sentence(translation: Any, family: str, member: Named) -> None:
    case = Case(family, member.name, Row("", None))
    content = (
        file(case, {})
        if family != "decays"
        else {
            "model": "AttentionSeq2Seq",
            "model_params": {"optimizer.lr_decay_type": member.name},
        }
    )
    with pytest.raises(ConfigError) as error:
        translation(content, train_source=[], train_target=[])
    assert str(error.value).endswith(f"{member.name}: {member.refused}")


@pytest.mark.parametrize(
    "name", ["models", "encoders", "decoders", "attention", "bridges", "cells", "hooks", "metrics"]
)
def test_short_and_full_names_mean_the_same(translation: Any, name: str) -> None:
    family = FAMILIES[name]
    for member in working(family.members):
        short, *full = (
            said(translation, Case(name, member.name, Row("", None)), NEEDED.get(member.name, {})),
            *(
                said(translation, Case(name, f"{module}.{member.name}", Row("", None)), NEEDED.get(member.name, {}))
                for module in family.modules
                if name != "decoders" and member.name != "InceptionV3Encoder"
            ),
        )
        assert all(other[0][0].value == short[0][0].value for other in full)
