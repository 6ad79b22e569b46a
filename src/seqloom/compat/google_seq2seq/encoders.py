"""Their encoders."""

from __future__ import annotations

from dataclasses import replace

from seqloom.compat.google_seq2seq.cells import BLOCK, left_out, recurrent
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said

COMBINERS = {"multiply": "multiply", "mul": "multiply", "add": "add"}
POOLINGS = {"average_pooling1d": "average", "max_pooling1d": "max"}
POSITIONS = (
    Row("position_embeddings.enable", True, "`positions`"),
    Row("position_embeddings.combiner_fn", "tensorflow.multiply", "`positions`; also tensorflow.add"),
    Row("position_embeddings.num_positions", 100, "`max_positions`"),
)
_NEVER = "this encoder takes the layers apart and never had residual connections; there are none here, either"
STACK = tuple(
    replace(row, ours="nothing: this encoder never had them", notice=_NEVER) if "residual" in row.key else row
    for row in BLOCK
)
POOLING = (
    Row("dropout_keep_prob", 0.8, "`dropout`, which is what they don't keep"),
    Row("pooling_fn", "tensorflow.layers.average_pooling1d", "`pooling`; also tensorflow.layers.max_pooling1d"),
    Row("pool_size", 5, "`pool_size`"),
    Row("strides", 1, "`stride`"),
    *POSITIONS,
)
CONVOLUTIONAL = (
    Row("attention_cnn.units", 512, "`key_size`"),
    Row("attention_cnn.kernel_size", 3, "`key_kernel`"),
    Row("attention_cnn.layers", 15, "`key_layers`"),
    Row("embedding_dropout_keep_prob", 0.8, "`dropout`, which is what they don't keep"),
    Row("output_cnn.units", 256, "`value_size`"),
    Row("output_cnn.kernel_size", 3, "`value_kernel`"),
    Row("output_cnn.layers", 5, "`value_layers`"),
    *POSITIONS,
)
IMAGE = (
    Row("resize_height", 299, "`height`, also of the tokenizer `Pixels`"),
    Row("resize_width", 299, "`width`, also of the tokenizer `Pixels`"),
)


def _unidirectional(given: Answers, report: Report) -> Part:
    return {"class": "RNNEncoder", "bidirectional": False, "summary": "all", **recurrent(given, report)}


def _bidirectional(given: Answers, report: Report) -> Part:
    return {"class": "RNNEncoder", "bidirectional": True, "meet": "top", "summary": "all", **recurrent(given, report)}


def _stacked(given: Answers, report: Report) -> Part:
    common = recurrent(given, report) | {"residual": "none", "dense": False}
    return {"class": "RNNEncoder", "bidirectional": True, "meet": "every_layer", "summary": "all", **common}


def _pooling(given: Answers, report: Report) -> Part:
    return {
        "class": "PoolingEncoder",
        "pooling": function(given["pooling_fn"], POOLINGS, report),
        "pool_size": given["pool_size"],
        "stride": given["strides"],
        "dropout": left_out(given["dropout_keep_prob"], report),
        **_positions(given, report),
    }


def _convolutional(given: Answers, report: Report) -> Part:
    return {
        "class": "ConvolutionalEncoder",
        "key_size": given["attention_cnn.units"],
        "key_layers": given["attention_cnn.layers"],
        "key_kernel": given["attention_cnn.kernel_size"],
        "value_size": given["output_cnn.units"],
        "value_layers": given["output_cnn.layers"],
        "value_kernel": given["output_cnn.kernel_size"],
        "dropout": left_out(given["embedding_dropout_keep_prob"], report),
        **_positions(given, report),
    }


def _positions(given: Answers, report: Report) -> Part:
    combiner = function(given["position_embeddings.combiner_fn"], COMBINERS, report)
    wanted = given["position_embeddings.enable"]
    return {
        "positions": combiner if wanted.value else wanted.to(lambda value: "none"),
        "max_positions": given["position_embeddings.num_positions"],
    }


def _image(given: Answers, report: Report) -> Part:
    return {"class": "ImageEncoder"}


def function(said: Said, names: dict[str, str], report: Report) -> Said:
    """Our name for a function of TensorFlow's, given with its module or without."""
    found = names.get(said.value.rpartition(".")[2]) if _is_tensorflow(said.value) else None
    if found is None:
        report.problem(said.place, f"expected one of {', '.join(f'tensorflow.{n}' for n in names)}, got {said.value!r}")
    return said.to(lambda value: found)


def _is_tensorflow(name: str) -> bool:
    return name.rpartition(".")[0].split(".")[0] in ("", "tensorflow", "tf")


_IMAGE_NOTICE = "a small convolutional network stands in for Inception-v3, whose weights are not here"

ENCODERS = Family(
    "encoder",
    (
        "seq2seq.encoders",
        *(f"seq2seq.encoders.{m}" for m in ("rnn_encoder", "pooling_encoder", "conv_encoder", "image_encoder")),
    ),
    (
        Named("UnidirectionalRNNEncoder", "`RNNEncoder`, `bidirectional: false`", BLOCK, _unidirectional),
        Named("BidirectionalRNNEncoder", "`RNNEncoder`, `meet: top`", BLOCK, _bidirectional),
        Named("StackBidirectionalRNNEncoder", "`RNNEncoder`, `meet: every_layer`", STACK, _stacked),
        Named("PoolingEncoder", "`PoolingEncoder`", POOLING, _pooling),
        Named("ConvEncoder", "`ConvolutionalEncoder`", CONVOLUTIONAL, _convolutional),
        Named("InceptionV3Encoder", "`ImageEncoder`", IMAGE, _image, notice=_IMAGE_NOTICE),
    ),
)
