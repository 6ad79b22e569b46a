"""Their files: fences, the order in which files and flags are merged, dots and nesting, and kinds of values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seqloom.compat.google_seq2seq import is_theirs, read_file
from seqloom.compat.google_seq2seq.reading import unfenced
from seqloom.errors import UsageError
from seqloom.registry import ConfigError

BASIC = "model: BasicSeq2Seq\nmodel_params:\n  embedding.dim: 16\n  source.max_seq_len: 20"

VALIDATION = {"dev_source": ["dev.source"], "dev_target": ["dev.target"]}


@pytest.mark.parametrize(
    "fenced",
    [
        f"```{BASIC}```",
        f"```{BASIC}```\n",
        f"``` {BASIC}\n```",
        f"```\n{BASIC}\n```",
        f"```yaml\n{BASIC}\n```\n\n",
        f"\n````yml\n{BASIC}\n````\n",
        BASIC,
    ],
)
def test_a_fence_is_no_part_of_the_file(fenced: str) -> None:
    assert read_file(fenced, "a.yml").value == read_file(BASIC, "a.yml").value
    assert is_theirs(fenced, "a.yml")


def test_a_fence_leaves_every_line_where_it_was() -> None:
    with pytest.raises(UsageError) as error:
        read_file(f"```{BASIC}\n  embedding.dim: 17```", "a.yml")
    assert str(error.value) == "a.yml:5:3: model_params.embedding.dim: this key is here twice, first in line 3"


def test_back_ticks_elsewhere_stay() -> None:
    assert unfenced("a: '```'\nb: ```") == "a: '```'\nb: ```"


@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("model: AttentionSeq2Seq", True),
        ("model: seq2seq.models.BasicSeq2Seq", True),
        ("model_params: {}", True),
        ('{"model_class": "BasicSeq2Seq", "model_params": {}}', True),
        ("model: EncoderDecoder\ndata: {}", False),
        ("model: {class: EncoderDecoder}", False),
        ("hooks: []", False),
    ],
)
def test_what_is_visibly_theirs(text: str, theirs: bool) -> None:
    assert is_theirs(text, "a.yml") is theirs


def test_train_options_are_read(translation: Any) -> None:
    saved = json.dumps({"model_class": "BasicSeq2Seq", "model_params": {"embedding.dim": 16, "source.max_seq_len": 20}})
    assert translation(saved).tree.value == translation(BASIC).tree.value


def test_later_files_change_earlier_ones_key_by_key(translation: Any) -> None:
    value = translation(BASIC, "model_params: {embedding.dim: 17}", "model_params: {target.max_seq_len: 9}").tree.value
    assert value["model"]["embedding"]["size"] == 17
    assert value["data"]["max_length"] == [20, 8]


def test_lists_are_replaced_whole(translation: Any) -> None:
    one = "hooks: [{class: PrintModelAnalysisHook}, {class: MetadataCaptureHook}]"
    value = translation(BASIC, one, "hooks: [{class: TrainSampleHook}]").tree.value
    assert [hook["class"] for hook in value["hooks"]] == ["Samples"]


def test_the_command_line_wins_inside_mappings_only(translation: Any) -> None:
    """As their program had it: of a flag that is no mapping, a file wins; here that is said."""
    file = f"{BASIC}\nbatch_size: 5"
    flags = {"model_params": "embedding.dim: 18", "batch_size": "6", "train_steps": "7"}
    result = translation(file, **VALIDATION, **flags)
    assert result.tree.value["model"]["embedding"]["size"] == 18
    assert result.tree.value["data"]["max_length"][0] == 20
    assert result.tree.value["train"]["batch_sentences"] == 5
    assert result.tree.value["train"]["steps"] == 7
    assert result.notices == ["--batch_size: 1.yml:5:13 says 5, and in google/seq2seq a file wins"]


def test_files_alone_and_flags_alone_say_the_same(translation: Any) -> None:
    assert translation(model="BasicSeq2Seq", model_params="{embedding.dim: 16, source.max_seq_len: 20}").tree.value == (
        translation(BASIC).tree.value
    )


def test_names_that_are_no_flags_are_left_out_aloud(translation: Any) -> None:
    result = translation(
        f"{BASIC}\nbatch_sise: 3\nmine: &mine\n  - {{class: TrainSampleHook}}\nhooks: *mine", **VALIDATION
    )
    assert result.notices == [
        "1.yml:5:1: batch_sise: Ignoring config flag: there is none of this name; did you mean 'batch_size'?",
        "1.yml:6:1: mine: Ignoring config flag: there is none of this name",
    ]
    assert result.tree.value["hooks"] == [{"class": "Samples", "every": 1000}]


def test_a_flag_that_is_no_yaml_of_its_kind_is_refused(translation: Any) -> None:
    with pytest.raises(UsageError) as error:
        translation(BASIC, model_params="- a")
    assert str(error.value) == "--model_params: expected YAML text of a mapping, got a list"
    with pytest.raises(UsageError) as error:
        translation(BASIC, hooks="a: [")
    assert str(error.value).startswith("--hooks:1:5: this is not YAML: ")


def test_nested_keys_mean_what_dotted_ones_do_and_dots_win(translation: Any) -> None:
    dotted = {"embedding.dim": 16, "encoder.class": "PoolingEncoder", "encoder.params": {"pool_size": 3}}
    nested = {"embedding": {"dim": 16}, "encoder": {"class": "PoolingEncoder", "params": {"pool_size": 3}}}
    both = {"embedding": {"dim": 99}} | dotted
    values = [translation({"model": "BasicSeq2Seq", "model_params": params}) for params in (dotted, nested, both)]
    assert values[0].tree.value == values[1].tree.value == values[2].tree.value


def test_a_cell_s_keys_may_have_dots_too(translation: Any) -> None:
    nested = {"encoder.params": {"rnn_cell": {"num_layers": 2, "cell_params": {"num_units": 8}}}}
    dotted = {"encoder.params": {"rnn_cell.num_layers": 2, "rnn_cell.cell_params": {"num_units": 8}}}
    one, other = (translation({"model": "BasicSeq2Seq", "model_params": params}) for params in (nested, dotted))
    assert one.tree.value == other.tree.value


def test_every_cell_has_a_size_of_its_own(translation: Any) -> None:
    text = "model: BasicSeq2Seq\nmodel_params: {encoder.params: {rnn_cell: {cell_class: GRUBlockCell}}}"
    assert translation(text).tree.value["model"]["encoder"]["size"] == 128


@pytest.mark.parametrize("written", ["7", "'7'", "7.0"])
def test_the_longest_target_is_a_number_however_it_is_written(translation: Any, written: str) -> None:
    text = f"model: BasicSeq2Seq\nmodel_params: {{decoder.params: {{max_decode_length: {written}}}}}"
    assert translation(text).tree.value["search"]["max_length"] == 7


def problems(translation: Any, *files: Any, **flags: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        translation(*files, **flags)
    return str(error.value).split("\n")


def test_every_mistake_is_said_at_once_with_its_line(translation: Any) -> None:
    text = """\
model: BasicSeq2Seq
model_params:
  embeding.dim: 3
  source.reverse: "False"
  source.max_seq_len: 2.5
  optimizer.name: Adamm
  encoder.params: {rnn_cell: {cell_params: {num_unit: 3}, residual_combiner: sum}}
  decoder.class: AttentionDecoder
  optimizer.sync_replicas: 3
batch_size: many
log_device_placement: true
hooks: [{klass: TrainSampleHook}]
"""
    assert problems(translation, text) == [
        "1.yml:3:3: model_params.embeding.dim: BasicSeq2Seq of google/seq2seq has no such parameter; "
        "did you mean 'embedding.dim'?",
        "1.yml:4:19: model_params.source.reverse: google/seq2seq read the text 'False' as true; "
        "write false, without quotes",
        "1.yml:5:23: model_params.source.max_seq_len: expected an integer, got 2.5; "
        "google/seq2seq would have cut it to 2",
        "1.yml:6:19: model_params.optimizer.name: google/seq2seq has no optimizer named 'Adamm'; did you mean 'Adam'?",
        "1.yml:7:45: model_params.encoder.params.rnn_cell.cell_params.num_unit: "
        "BasicLSTMCell of google/seq2seq has no such parameter; did you mean 'num_units'?",
        "1.yml:7:78: model_params.encoder.params.rnn_cell.residual_combiner: "
        "expected one of add, concat, mean, got 'sum'",
        "1.yml:8:18: model_params.decoder.class: BasicSeq2Seq has no attention; write model: AttentionSeq2Seq",
        "1.yml:9:28: model_params.optimizer.sync_replicas: one process trains here; a larger batch_size, "
        "or train.accumulate, does what several replicas did",
        "1.yml:10:13: batch_size: expected an integer, got 'many'",
        "1.yml:11:23: log_device_placement: nothing is placed by itself here: one process trains here, "
        "on the device that train.device names; leave this out",
        "1.yml:12:9: hooks.0: 'class' is missing; write class: and one of MetadataCaptureHook, TrainSampleHook, "
        "PrintModelAnalysisHook, VariableRestoreHook, DelayStartHook, SyncReplicasOptimizerHook, "
        "TokensPerSecondCounter",
    ]


def test_what_is_too_small_is_said_where_it_stands(translation: Any) -> None:
    text = """\
model: AttentionSeq2Seq
model_params: {source.max_seq_len: 0, target.max_seq_len: 1, optimizer.clip_gradients: -1}
"""
    assert problems(translation, text, batch_size="0", train_steps="-1") == [
        "1.yml:2:36: model_params.source.max_seq_len: expected at least 1, got 0",
        "1.yml:2:59: model_params.target.max_seq_len: expected at least 2, got 1",
        "1.yml:2:88: model_params.optimizer.clip_gradients: expected at least 0, got -1.0",
        "--batch_size: batch_size: expected at least 1, got 0",
        "--train_steps: train_steps: expected at least 1, got -1",
    ]


def test_what_stands_for_nested_keys_must_be_a_mapping(translation: Any) -> None:
    text = "model: BasicSeq2Seq\nmodel_params: {embedding: 3, encoder.params: {rnn_cell: GRUCell}}"
    assert problems(translation, text) == [
        "1.yml:2:27: model_params.embedding: expected a mapping, got 3",
        "1.yml:2:57: model_params.encoder.params.rnn_cell: expected a mapping, got 'GRUCell'",
    ]
    empty = translation("model: BasicSeq2Seq\nmodel_params: {embedding: , encoder.params: {rnn_cell: }}").tree.value
    assert empty == translation("model: BasicSeq2Seq").tree.value


def test_false_of_the_command_line_has_no_quotes(translation: Any) -> None:
    flags = {"gpu_allow_growth": "false", "log_device_placement": "False"}
    assert translation(BASIC, **VALIDATION, **flags).notices == []


def test_no_model_is_said(translation: Any) -> None:
    assert problems(translation, "batch_size: 3") == [
        "google/seq2seq: no file names a model; write model: AttentionSeq2Seq or model: BasicSeq2Seq"
    ]
    assert problems(translation, "model: AttentionSeq2seq") == [
        "1.yml:1:8: model: google/seq2seq has no model named 'AttentionSeq2seq'; did you mean 'AttentionSeq2Seq'?"
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("false", False),
        ("no", False),  # what their YAML took for false
        ("off", False),
        ("yes", True),
        ('"True,"', True),  # as a test of theirs has it
        ("1", True),
        ("null", True),  # the default
    ],
)
def test_truth_is_read_as_they_meant_it(translation: Any, written: str, read: bool) -> None:
    value = translation(f"model: BasicSeq2Seq\nmodel_params: {{source.reverse: {written}}}").tree.value
    assert value["model"]["reverse_source"] is read


@pytest.mark.parametrize(("written", "read"), [("1e-3", 0.001), ('"1e-3"', 0.001), ("1", 1.0), ('"8e-7"', 8e-7)])
def test_numbers_are_read_from_text_too(translation: Any, written: str, read: float) -> None:
    value = translation(f"model: BasicSeq2Seq\nmodel_params: {{optimizer.learning_rate: {written}}}").tree.value
    assert value["train"]["schedule"] == {"class": "Constant", "peak": read}


@pytest.mark.parametrize("written", [".inf", ".nan", "[1]", "true"])
def test_what_is_no_count_is_refused(translation: Any, written: str) -> None:
    (said,) = problems(translation, f"model: BasicSeq2Seq\nmodel_params: {{embedding.dim: {written}}}")
    assert said.startswith("1.yml:2:31: model_params.embedding.dim: expected an integer, got ")
