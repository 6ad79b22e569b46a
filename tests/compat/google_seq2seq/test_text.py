"""Files of text, delimiters, vocabularies, and what is measured."""

from __future__ import annotations

from typing import Any

import pytest

from seqloom.registry import ConfigError

NO_TEXT: dict[str, Any] = {"train_source": [], "train_target": []}
BASIC = {"model": "BasicSeq2Seq"}


def pipeline(sources: list[str], targets: list[str], **params: Any) -> dict[str, Any]:
    files = {"source_files": sources, "target_files": targets}
    return {"class": "ParallelTextInputPipeline", "params": files | params}


def refusal(translation: Any, *files: Any, **flags: Any) -> str:
    with pytest.raises(ConfigError) as error:
        translation(*files, **flags)
    return str(error.value)


def test_files_become_corpora(translation: Any) -> None:
    file = BASIC | {
        "input_pipeline_train": pipeline(["a", "b"], ["c", "d"]),
        "input_pipeline_dev": pipeline(["e"], ["f"]),
    }
    data = translation(file, **NO_TEXT).tree.value["data"]
    assert data["train"] == [{"source": "a", "target": "c"}, {"source": "b", "target": "d"}]
    assert data["valid"] == {"source": "e", "target": "f"}


def test_files_of_the_command_line_replace_those_of_a_pipeline(translation: Any) -> None:
    file = BASIC | {"input_pipeline_train": pipeline(["a", "b"], ["c", "d"], source_delimiter="")}
    value = translation(file, dev_source=["x"], dev_target=["y"]).tree.value
    assert value["data"]["train"] == {"source": "train.source", "target": "train.target"}
    assert value["data"]["valid"] == {"source": "x", "target": "y"}
    assert value["tokenizer"]["source"]["class"] == "Characters"
    records = BASIC | {"input_pipeline_train": {"class": "TFRecordInputPipeline", "params": {"files": ["a"]}}}
    assert translation(records).tree.value["data"]["train"] == value["data"]["train"]


def test_without_validation_data_some_are_held_out_aloud(translation: Any) -> None:
    result = translation(BASIC)
    assert "valid" not in result.tree.value["data"]
    assert result.notices == ["no text to validate on was named: some of the training text is held out for that"]


def test_a_path_s_dollar_is_no_variable_of_ours(translation: Any) -> None:
    value = translation(BASIC, train_source=["$a"], train_target=["b"], vocab_source="$v").tree.value
    assert value["data"]["train"]["source"] == "$$a"
    assert value["tokenizer"]["source"]["path"] == "$$v"


def test_each_file_needs_its_partner(translation: Any) -> None:
    file = BASIC | {"input_pipeline_train": pipeline(["a", "b"], ["c"])}
    assert refusal(translation, file, **NO_TEXT) == (
        "1.yml: input_pipeline_train.params.target_files: 2 source and 1 target files: each needs its partner"
    )


def test_a_pipeline_without_a_class_says_which_there_are(translation: Any) -> None:
    """Where google/seq2seq#40 was stuck."""
    file = BASIC | {"input_pipeline_train": {"params": {"source_files": ["a"]}}}
    assert refusal(translation, file, **NO_TEXT) == (
        "1.yml: input_pipeline_train: 'class' is missing; write class: and one of ParallelTextInputPipeline, "
        "TFRecordInputPipeline, ImageCaptioningInputPipeline"
    )


def test_a_side_is_cut_alike_in_training_and_validation(translation: Any) -> None:
    file = BASIC | {"input_pipeline_dev": pipeline(["a"], ["b"], target_delimiter="")}
    assert refusal(translation, file) == (
        "1.yml: input_pipeline_dev.params.target_delimiter: this is another delimiter than in training, ' '; "
        "texts are cut in one way here"
    )


@pytest.mark.parametrize(
    ("delimiter", "vocabulary", "expected"),
    [
        (" ", "", {"class": "Words", "segmentation": "none"}),
        ("", "", {"class": "Characters"}),
        (" ", "v", {"class": "VocabularyFile", "path": "v", "delimiter": " ", "segmentation": "none"}),
        ("", "v", {"class": "VocabularyFile", "path": "v", "delimiter": "", "segmentation": "none"}),
        ("|", "v", {"class": "VocabularyFile", "path": "v", "delimiter": "|", "segmentation": "none"}),
    ],
)
def test_delimiters_and_vocabularies_become_tokenizers(
    translation: Any, delimiter: str, vocabulary: str, expected: dict[str, Any]
) -> None:
    text = pipeline(["a"], ["b"], source_delimiter=delimiter, target_delimiter=delimiter)
    params = {"vocab_source": vocabulary, "vocab_target": vocabulary}
    file = BASIC | {"model_params": params, "input_pipeline_train": text}
    value = translation(file, **NO_TEXT).tree.value
    assert value["tokenizer"] == {"source": expected, "target": expected}
    shared = file | {"model_params": params | {"embedding.share": True}}
    value = translation(shared, **NO_TEXT).tree.value
    assert value["tokenizer"] == expected | {"joint": True}
    assert value["model"]["embedding"]["tie"] == "sides"


def test_the_command_line_s_vocabularies_win(translation: Any) -> None:
    file = BASIC | {"model_params": {"vocab_source": "one", "vocab_target": "two"}}
    tokenizer = translation(file, vocab_target="three").tree.value["tokenizer"]
    assert [tokenizer[side]["path"] for side in ("source", "target")] == ["one", "three"]


def test_vocabularies_that_can_t_be_are_refused(translation: Any) -> None:
    text = pipeline(["a"], ["b"], target_delimiter="|")
    assert refusal(translation, BASIC | {"input_pipeline_train": text}, **NO_TEXT) == (
        "1.yml: input_pipeline_train.params.target_delimiter: without a vocabulary, tokens are words (' ') or "
        "characters (''); make one: seqloom vocabulary --delimiter '|'"
    )
    shared = {"embedding.share": True, "vocab_source": "one", "vocab_target": "two"}
    assert refusal(translation, BASIC | {"model_params": shared}) == (
        "1.yml: model_params.embedding.share: embedding.share needs one vocabulary: "
        "name the same file as vocab_source and vocab_target, or neither"
    )


@pytest.mark.parametrize(
    ("function", "segmentation"), [("strip_bpe", "bpe"), ("decode_sentencepiece", "sentencepiece")]
)
def test_what_metrics_undo_the_tokenizers_undo(translation: Any, function: str, segmentation: str) -> None:
    name = f"seq2seq.data.postproc.{function}"
    file = BASIC | {"metrics": [{"class": "BleuMetricSpec", "params": {"postproc_fn": name}}]}
    tokenizer = translation(file).tree.value["tokenizer"]
    assert [tokenizer[side]["segmentation"] for side in ("source", "target")] == [segmentation] * 2


def test_metrics(translation: Any) -> None:
    rouge = [
        {"class": "RougeMetricSpec", "params": {"rouge_type": name}} for name in ("rouge_1/f_score", "rouge_l/p_score")
    ]
    file = BASIC | {"metrics": [{"class": "LogPerplexityMetricSpec"}, {"class": "BleuMetricSpec"}, *rouge, rouge[0]]}
    task = translation(file).tree.value["task"]
    assert task["metrics"] == [
        {"class": "Bleu", "tokenize": "none", "smooth": "none"},
        {"class": "Rouge", "kind": "1", "value": "f"},
        {"class": "Rouge", "kind": "l", "value": "p"},
    ]
    assert task["teacher_forced"] is False


def test_the_best_is_chosen_by_what_is_measured(translation: Any) -> None:
    only = BASIC | {"metrics": [{"class": "LogPerplexityMetricSpec"}]}
    assert translation(only).tree.value["train"]["keep_best"] == "bleu"
    rouge = BASIC | {"metrics": [{"class": "RougeMetricSpec", "params": {"rouge_type": "rouge_2/r_score"}}]}
    assert translation(rouge).tree.value["train"]["keep_best"] == "loss"


def test_characters_are_counted_as_tokens(translation: Any) -> None:
    text = pipeline(["a"], ["b"], target_delimiter="")
    value = translation(BASIC | {"input_pipeline_train": text}, **NO_TEXT).tree.value
    assert value["task"]["metrics"] == [{"class": "Bleu", "tokenize": "char", "smooth": "none"}]


def test_metrics_that_can_t_be_are_refused(translation: Any) -> None:
    def said(*metrics: dict[str, Any]) -> str:
        return refusal(translation, BASIC | {"metrics": list(metrics)})

    assert said({"class": "RougeMetricSpec"}) == (
        "1.yml: metrics.0.class: RougeMetricSpec needs rouge_type: rouge_1, rouge_2 or rouge_l, and /f_score, /p_score "
        "or /r_score behind it, such as rouge_1/f_score"
    )
    bleu = [
        {"class": "BleuMetricSpec", "params": {"postproc_fn": name}} for name in ("strip_bpe", "decode_sentencepiece")
    ]
    assert said(*bleu) == (
        "1.yml: metrics.1.params.postproc_fn: all metrics look at one text here: give every one the same postproc_fn"
    )
    assert said({"class": "BleuMetricSpec", "params": {"postproc_fn": "mine.clean"}}) == (
        "1.yml: metrics.0.params.postproc_fn: expected strip_bpe or decode_sentencepiece, got 'mine.clean'"
    )


def test_hooks(translation: Any) -> None:
    hooks = [
        {"class": "PrintModelAnalysisHook"},
        {"class": "MetadataCaptureHook", "params": {"step": 7}},
        {"class": "seq2seq.training.hooks.TrainSampleHook", "params": {"every_n_secs": 60}},
        {"class": "TrainSampleHook", "params": {"every_n_steps": 50}},
        {"class": "VariableRestoreHook", "params": {"prefix": "model/att_seq2seq/encode/", "checkpoint_path": "run$"}},
    ]
    assert translation(BASIC | {"hooks": hooks}).tree.value["hooks"] == [
        {"class": "ModelReport"},
        {"class": "Trace", "step": 7},
        {"class": "Samples", "every": None, "seconds": 60},
        {"class": "Samples", "every": 50},
        {"class": "WarmStart", "run": "run$$", "prefix": "encoder"},
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, {"checkpoint_every": 1000, "checkpoint_seconds": 600}),
        ({"eval_every_n_steps": 50}, {"checkpoint_every": 50, "checkpoint_seconds": 600}),
        ({"save_checkpoints_secs": 30}, {"checkpoint_every": 1000, "checkpoint_seconds": 30}),
        ({"save_checkpoints_steps": 70}, {"checkpoint_every": 70}),
    ],
)
def test_checkpoints(translation: Any, flags: dict[str, int], expected: dict[str, int]) -> None:
    train = translation(BASIC | flags).tree.value["train"]
    assert {key: value for key, value in train.items() if key.startswith("checkpoint")} == expected


def test_checkpoints_come_by_steps_or_by_the_clock(translation: Any) -> None:
    assert refusal(translation, BASIC | {"save_checkpoints_secs": 3, "save_checkpoints_steps": 3}) == (
        "1.yml: save_checkpoints_steps: give save_checkpoints_steps or save_checkpoints_secs, not both"
    )


@pytest.mark.parametrize(("written", "kept"), [(0, 1_000_000), (3, 3), (None, 5)])
def test_checkpoints_kept(translation: Any, written: int | None, kept: int) -> None:
    assert translation(BASIC | {"keep_checkpoint_max": written}).tree.value["train"]["keep_last"] == kept
