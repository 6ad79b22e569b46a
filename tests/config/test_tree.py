import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqloom.config.tree import Tree, dump, read, read_text
from seqloom.errors import UsageError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9)
)


def refused(text: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as error:
        read_text(text, overrides, name="c.yml")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("1e-4", 1e-4),
        ("7.0e-4", 7e-4),
        ("100_000", 100_000),
        ("-3", -3),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        (".inf", math.inf),
        ("true", True),
        ("~", None),
        ("", None),
        ("2026-03-06", "2026-03-06"),
        ("'3'", "3"),
        ("1:30", "1:30"),
        ("[1, a]", [1, "a"]),
        ("{3: x}", {"3": "x"}),
        ("0x_", "0x_"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = read_text(f"key: {text}").value["key"]
    assert found == value and type(found) is type(value)


def test_anchors_and_merge_keys() -> None:
    tree = read_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{x: 0}, *a]}\nd: *a\n", name="c.yml")
    assert tree.value["b"] == {"y": 3, "x": 1} and tree.value["c"] == {"x": 0, "y": 2}
    assert tree.value["d"] == tree.value["a"] and tree.value["d"] is not tree.value["a"]
    assert tree.where(("b", "x"), "key") == "c.yml:1:8", "a merged value is where it was written"


def test_places_are_found_by_key_and_by_value() -> None:
    tree = read_text("train:\n  steps: 60\n  betas:\n    - 0.9\n    - 0.98\n", name="c.yml")
    assert tree.where(("train", "steps"), "key") == "c.yml:2:3"
    assert tree.where(("train", "steps")) == "c.yml:2:10"
    assert tree.where(("train", "betas", 1)) == "c.yml:5:7"
    assert tree.where(("train", "nothing", "here")) == "c.yml:2:3", "the nearest value around it"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "c.yml: this file is empty"),
        ("# only a comment", "c.yml: this file is empty"),
        ("- a", "c.yml:1:1: a configuration starts with the name of a section, such as 'model:'"),
        ("a: [1", "c.yml:1:6: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "c.yml:1:5: this is not YAML: mapping values are not allowed here"),
        ("a: *b", "c.yml:1:4: this is not YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "c.yml:2:1: this is not YAML: but found another document"),
        ("a: 1\nb: \0", "c.yml:2:4: this is not YAML: the character U+0000 is not allowed"),
        ("a: !!python/object:os.system {}", "c.yml:1:4: a tag such as '!!python/object:os.system' has no meaning here"),
        ("a: !x 3", "c.yml:1:4: a tag such as '!x' has no meaning here"),
        ("%YAML 1.1\n---\na: no", "c.yml:2:1: this is YAML 1.1, but only YAML 1.2 is read"),
        ("a: 1\nb: {c: 2,\n  c: 3}", "c.yml:3:3: b.c: this key is here twice, first in line 2"),
        ("train: 1\nx: 2\ntrain: 3", "c.yml:3:1: train: this key is here twice, first in line 1"),
        ("a: {[b]: c}", "c.yml:1:5: a: a key must be a word, not a list or a mapping"),
        ("a: {<<: 3}", "c.yml:1:9: a.<<: only a mapping can be merged"),
        ("a: " + "[" * 60, "c.yml:1:53: this is nested more than 50 levels deep"),
        ("a: &a [*a]", "c.yml:1:4: this is nested more than 50 levels deep"),
        ("a: &a {<<: *a}", "c.yml:1:4: this is nested more than 50 levels deep"),
        ("a: &a x\nb: [" + "*a, " * 101 + "]", "c.yml:2:405: there are more than 100 aliases (*name)"),
        (BOMB, "c.yml:1:5: with its aliases written out, this has more than 20,000 values"),
        ("a: [" + "1," * 20_001 + "]", "c.yml:1:39997: there are more than 20,000 values"),
        ('a: "\\ud800"', "c.yml:1:4: a: this text is not Unicode: '\\ud800'"),
    ],
)
def test_what_is_refused(text: str, sentence: str) -> None:
    assert refused(text) == sentence


def test_files(tmp_path: Path) -> None:
    def message(content: bytes | None) -> str:
        path = tmp_path / "c.yml"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UsageError) as error:
            read(path)
        return str(error.value).replace(str(tmp_path), "DIR")

    assert message(None) == "DIR/c.yml: this file can't be read: No such file or directory"
    assert message(b"a: 1\nb: \xff") == "DIR/c.yml:2: this line is not UTF-8; save the file as UTF-8"
    assert message(b"a" * (2**20 + 1)) == "DIR/c.yml: this file is larger than a configuration may be, which is 1 MiB"
    with pytest.raises(UsageError, match="can't be read: Is a directory$"):
        read(tmp_path)
    (tmp_path / "c.yml").write_bytes("\ufeffa: ü\r\nb: 2\r\n".encode())
    assert read(tmp_path / "c.yml").value == {"a": "ü", "b": 2}
    assert read(tmp_path / "c.yml").directory(("a",)) == tmp_path


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.steps=60", {"train": {"steps": 60, "mix": [{"w": 1}, {"w": 2}]}, "model": "Toy"}),
        ("train.mix.1.w=7.0e-4", {"train": {"steps": 1, "mix": [{"w": 1}, {"w": 7e-4}]}, "model": "Toy"}),
        ("train.mix=[0.9,0.98]", {"train": {"steps": 1, "mix": [0.9, 0.98]}, "model": "Toy"}),
        ("train.steps=many", {"train": {"steps": "many", "mix": [{"w": 1}, {"w": 2}]}, "model": "Toy"}),
        ("train=", {"train": None, "model": "Toy"}),
        ("model.size=3", {"train": {"steps": 1, "mix": [{"w": 1}, {"w": 2}]}, "model": {"class": "Toy", "size": 3}}),
        ("a.b.c=x=y", {"train": {"steps": 1, "mix": [{"w": 1}, {"w": 2}]}, "model": "Toy", "a": {"b": {"c": "x=y"}}}),
    ],
)
def test_overrides(override: str, value: object) -> None:
    text = "train: {steps: 1, mix: [{w: 1}, {w: 2}]}\nmodel: Toy\n"
    assert read_text(text, [override]).value == value


def test_an_override_is_where_a_value_is_from_now_on() -> None:
    tree = read_text("train: {mix: {w: 1}}", ["train.mix={v: 2}", "train.stesp=3"], name="c.yml")
    assert tree.where(("train", "stesp"), "key") == "train.stesp=3 (command line)"
    assert tree.where(("train", "mix", "v")) == "train.mix={v: 2} (command line)"
    assert tree.where(("train", "mix", "w")) == "train.mix={v: 2} (command line)"
    assert tree.where(("train",), "key") == "c.yml:1:1"
    assert tree.directory(("train", "mix", "v")) == Path.cwd()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("steps", "'steps' (command line): expected KEY=VALUE, such as train.steps=1000"),
        ("=3", "'=3' (command line): expected KEY=VALUE, such as train.steps=1000"),
        ("a..b=3", "'a..b=3' (command line): expected KEY=VALUE, such as train.steps=1000"),
        ("a.b=3", "a.b=3 (command line): a is 1, which has no parts"),
        ("b.2=3", "b.2=3 (command line): b is a list; known: 0, 1"),
        ("b.x=3", "b.x=3 (command line): b is a list; known: 0, 1"),
        ("a=[1", "a=[1 (command line): this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a={c: 1, c: 2}", "a={c: 1, c: 2} (command line): c: this key is here twice, first in line 1"),
    ],
)
def test_overrides_that_lead_nowhere(override: str, sentence: str) -> None:
    assert refused("a: 1\nb: [1, 2]", override) == sentence


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(words, values, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_reads_back(value: dict[str, object]) -> None:
    assert read_text(dump(value)).value == value


yaml_like = st.lists(
    st.sampled_from(
        [*"{}[]:,-?&*!|>'\"%@`#\n \t~", "a", "b: ", "\n  ", "<<: ", "*a", "&a ", "!!x ", "---\n", "1", "\0"]
    )
    | st.text(max_size=3),
    max_size=25,
).map("".join)


@given(yaml_like, st.lists(yaml_like, max_size=1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_tree_or_a_sentence(text: str, overrides: list[str]) -> None:
    try:
        tree = read_text(text, overrides, name="c.yml")
    except UsageError as error:
        assert str(error)
    else:
        assert isinstance(tree, Tree) and isinstance(tree.value, dict)
