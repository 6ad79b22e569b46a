"""Their decoders, attentions and bridges."""

from __future__ import annotations

from seqloom.compat.google_seq2seq.cells import BLOCK, recurrent
from seqloom.compat.google_seq2seq.encoders import function
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report

DECODER = (Row("max_decode_length", 100, "`search.max_length`", least=1), *BLOCK)
UNITS = (Row("num_units", 128, "`size`"),)
ACTIVATIONS = {"identity": "identity", "tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid"}
INPUTS = {"final_state": "summary", "outputs": "keys", "attention_values": "values"}
BRIDGE = (
    Row("bridge_input", "final_state", "`of`; outputs and attention_values are averaged", choices=tuple(INPUTS)),
    Row("activation_fn", "tensorflow.identity", "`activation`; also tensorflow.tanh, relu and sigmoid"),
)


def _decoder(given: Answers, report: Report) -> Part:
    return {"class": "InputFeedingDecoder", "feed": "context", **recurrent(given, report)}


DECODERS = Family(
    "decoder",
    ("seq2seq.decoders", "seq2seq.decoders.basic_decoder", "seq2seq.decoders.attention_decoder"),
    (
        Named("BasicDecoder", "`InputFeedingDecoder`, `attention: null`", DECODER, _decoder),
        Named("AttentionDecoder", "`InputFeedingDecoder`, `feed: context`", DECODER, _decoder),
        Named(
            "BeamSearchDecoder",
            "refused",
            refused="it is not for a file to choose; set inference.beam_search.beam_width, or search.beam_size here",
        ),
    ),
)


def _additive(given: Answers, report: Report) -> Part:
    return {"class": "AdditiveAttention", "size": given["num_units"], "key_bias": True}


def _dot(given: Answers, report: Report) -> Part:
    return {"class": "DotAttention", "size": given["num_units"], "scaled": False, "key_bias": True}


ATTENTIONS = Family(
    "attention",
    ("seq2seq.decoders.attention", "seq2seq.decoders"),
    (
        Named("AttentionLayerBahdanau", "`AdditiveAttention`, `key_bias: true`", UNITS, _additive),
        Named("AttentionLayerDot", "`DotAttention`, `key_bias: true`", UNITS, _dot),
    ),
)


def _dense(given: Answers, report: Report) -> Part:
    of = given["bridge_input"]
    if of.value != "final_state":
        report.notice(of, "these are averaged over the sentence's positions, since sentences differ in length")
    activation = function(given["activation_fn"], ACTIVATIONS, report)
    return {"class": "DenseBridge", "activation": activation, "of": of.to(INPUTS.__getitem__)}


BRIDGES = Family(
    "bridge",
    ("seq2seq.models.bridges", "seq2seq.models"),
    (
        Named("ZeroBridge", "`ZeroBridge`", (), lambda given, report: {"class": "ZeroBridge"}),
        Named("PassThroughBridge", "`PassThroughBridge`", (), lambda given, report: {"class": "PassThroughBridge"}),
        Named("InitialStateBridge", "`DenseBridge`", BRIDGE, _dense),
    ),
)
