"""Their models: which encoder, decoder, attention and bridge, and what all models have."""

from __future__ import annotations

from contextlib import suppress

from seqloom.compat.google_seq2seq.answers import answers, cast
from seqloom.compat.google_seq2seq.decoders import ATTENTIONS, BRIDGES, DECODERS
from seqloom.compat.google_seq2seq.encoders import ENCODERS
from seqloom.compat.google_seq2seq.optimizers import OPTIMIZER
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row, changed, less
from seqloom.compat.google_seq2seq.said import Answers, Report, Said

BLOCKS = (32, 64, 128, 256, 512)  # an image encoder halves its image once for each

SEARCH = (
    Row("inference.beam_search.beam_width", 0, "`search.beam_size`; 0 and 1 are greedy search"),
    Row("inference.beam_search.length_penalty_weight", 0.0, "`search.length_penalty`"),
    Row(
        "inference.beam_search.choose_successors_fn",
        "choose_top_k",
        "the best ones are always chosen",
        choices=("choose_top_k",),
    ),
    Row(
        "inference.max_decode_length",
        None,
        "`search.max_length`; their page had it, their program not",
        type=int,
        least=1,
    ),
)
SEQ2SEQ = (
    *OPTIMIZER,
    Row("source.max_seq_len", 50, "`data.max_length`, `search.max_source_length`", least=1),
    Row("source.reverse", True, "`model.reverse_source`"),
    Row("target.max_seq_len", 50, "`data.max_length`, one less since they counted the start sign", least=2),
    Row("embedding.dim", 100, "`model.embedding.size`"),
    Row("embedding.init_scale", 0.04, "`model.embedding.uniform`"),
    Row("embedding.share", False, "`model.embedding.tie: sides`, `tokenizer.joint`"),
    *SEARCH,
    Row("optimizer.clip_embed_gradients", 0.1, "`train.clip_embeddings`", least=0),
    Row("vocab_source", "", "`tokenizer.source`; without one it is made from the training text"),
    Row("vocab_target", "", "`tokenizer.target`; without one it is made from the training text"),
)
BASIC = (
    *SEQ2SEQ,
    Row("bridge.class", "seq2seq.models.bridges.InitialStateBridge", "`model.decoder.bridge`"),
    Row("bridge.params", {}, "`model.decoder.bridge`'s own"),
    Row("encoder.class", "seq2seq.encoders.UnidirectionalRNNEncoder", "`model.encoder`"),
    Row("encoder.params", {}, "`model.encoder`'s own"),
    Row("decoder.class", "seq2seq.decoders.BasicDecoder", "`model.decoder`"),
    Row("decoder.params", {}, "`model.decoder`'s own"),
)
_ATTENTION_DEFAULTS = {
    "bridge.class": "seq2seq.models.bridges.ZeroBridge",
    "encoder.class": "seq2seq.encoders.BidirectionalRNNEncoder",
    "decoder.class": "seq2seq.decoders.AttentionDecoder",
}
ATTENTION = (
    *changed(BASIC, _ATTENTION_DEFAULTS),
    Row("attention.class", "AttentionLayerBahdanau", "`model.decoder.attention`"),
    Row("attention.params", {}, "`model.decoder.attention`'s own"),
)
_NO_SOURCE = (
    "source.max_seq_len",
    "source.reverse",
    "embedding.share",
    "vocab_source",
    "optimizer.clip_embed_gradients",
)
IMAGE = (
    *changed(
        less(ATTENTION, (*_NO_SOURCE, "embedding.init_scale")), {"encoder.class": "seq2seq.encoders.InceptionV3Encoder"}
    ),
    Row("embedding.init_scale", 0.04, "`model.embedding.uniform`"),
)


def _basic(given: Answers, report: Report) -> Part:
    _must_be(
        "BasicDecoder", given["decoder.class"], report, "BasicSeq2Seq has no attention; write model: AttentionSeq2Seq"
    )
    return _text_model(given, report, attention=None)


def _attentive(given: Answers, report: Report) -> Part:
    return _text_model(given, report, attention=_attention(given, report))


def _text_model(given: Answers, report: Report, *, attention: Part | None) -> Part:
    encoder = _part("encoder", given, report)
    if encoder.get("class") == "ImageEncoder":
        report.problem(given["encoder.class"].place, "InceptionV3Encoder reads images; write model: Image2Seq")
    return {
        "class": "EncoderDecoder",
        "reverse_source": given["source.reverse"],
        "embedding": {
            "size": given["embedding.dim"],
            "tie": given["embedding.share"].to(lambda shared: "sides" if shared else "none"),
            "uniform": given["embedding.init_scale"],
        },
        "encoder": encoder,
        "decoder": _decoder(given, report, attention),
    }


def _image(given: Answers, report: Report) -> Part:
    encoder = _part("encoder", given, report)
    if encoder and encoder["class"] != "ImageEncoder":
        report.problem(given["encoder.class"].place, "Image2Seq reads images; write encoder.class: InceptionV3Encoder")
    height, width = image_size(given, report)
    halvings = max(1, (min(height.value, width.value) // 8).bit_length() - 1)
    return {
        "class": "ImageToSequence",
        "embedding": {"size": given["embedding.dim"], "uniform": given["embedding.init_scale"]},
        "encoder": {**encoder, "height": height, "width": width, "channels": list(BLOCKS[:halvings])},
        "decoder": _decoder(given, report, _attention(given, report)),
    }


def image_size(given: Answers, report: Report) -> tuple[Said, Said]:
    """Height and width of the images that an Image2Seq reads."""
    own = given["encoder.params"].value
    wanted = own if isinstance(own, dict) else {}
    rows = next(member.rows for member in ENCODERS.members if member.name == "InceptionV3Encoder")
    place = given["encoder.params"].place
    size = answers(
        Said({k: v for k, v in wanted.items() if k in [row.key for row in rows]}, place), rows, report, owner=""
    )
    return size["resize_height"], size["resize_width"]


def _attention(given: Answers, report: Report) -> Part:
    _must_be(
        "AttentionDecoder",
        given["decoder.class"],
        report,
        "this model has attention; for a BasicDecoder write model: BasicSeq2Seq",
    )
    found = ATTENTIONS.find(given["attention.class"], report)
    if found is None:
        return {}
    own = answers(given["attention.params"], found.rows, report, owner=found.name)
    return found.make(own, report)  # type: ignore[no-any-return]


def _decoder(given: Answers, report: Report, attention: Part | None) -> Part:
    bridge = BRIDGES.find(given["bridge.class"], report)
    decoder = _part("decoder", given, report)
    if bridge is None or not decoder:
        return {}
    own = answers(given["bridge.params"], bridge.rows, report, owner=bridge.name)
    return {**decoder, "attention": attention, "bridge": bridge.make(own, report)}


def _part(key: str, given: Answers, report: Report) -> Part:
    family = {"encoder": ENCODERS, "decoder": DECODERS}[key]
    found = family.find(given[f"{key}.class"], report)
    if found is None:
        return {}
    own = answers(given[f"{key}.params"], found.rows, report, owner=found.name)
    return found.make(own, report)  # type: ignore[no-any-return]


def _must_be(name: str, said: Said, report: Report, what: str) -> None:
    other = {"BasicDecoder", "AttentionDecoder"} - {name}
    if said.value.rpartition(".")[2] in other:
        report.problem(said.place, what)


MODELS = Family(
    "model",
    ("seq2seq.models", *(f"seq2seq.models.{m}" for m in ("basic_seq2seq", "attention_seq2seq", "image2seq"))),
    (
        Named("BasicSeq2Seq", "`EncoderDecoder`", BASIC, _basic),
        Named("AttentionSeq2Seq", "`EncoderDecoder` with `attention`", ATTENTION, _attentive),
        Named("Image2Seq", "`ImageToSequence`", IMAGE, _image),
        *(
            Named(name, "refused", refused="this is what models are made of; choose BasicSeq2Seq or AttentionSeq2Seq")
            for name in ("ModelBase", "Seq2SeqModel")
        ),
    ),
)


def longest_target(given: Answers) -> Said:
    """`search.max_length`: the decoder's key where it is written, else the one of their page, else the default."""
    params = given["decoder.params"]
    rows = next(member.rows for member in DECODERS.members if member.name == "BasicDecoder")
    own = params.value.get("max_decode_length") if isinstance(params.value, dict) else None
    if own is not None:
        with suppress(ValueError):  # which is said with the decoder's other keys
            own = cast(Row("max_decode_length", None, type=int), own)
        return Said(own, (*(params.place or ()), "max_decode_length"))
    documented = given["inference.max_decode_length"]
    return documented if documented.value is not None else Said(next(row.default for row in rows))
