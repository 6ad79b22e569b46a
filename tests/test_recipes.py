"""Every recipe is built as it stands and takes two steps; those of published systems are built and counted."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from seqloom.config import describe
from seqloom.config.root import Config, read_config
from seqloom.models.base import Model, VocabularySizes
from seqloom.runs import load, train

REPOSITORY = Path(__file__).parent.parent
SYSTEMS = (REPOSITORY / "docs" / "systems.md").read_text("utf8")
# a row's recipe and how many weights the page says it has
PUBLISHED = re.findall(r"^\| .*?\(\.\./recipes/([\w-]+\.yml)\).*? \| ([\d,]+) \|", SYSTEMS, re.MULTILINE)
ALL = sorted((REPOSITORY / "recipes").glob("*.yml"))
RECIPES = [path for path in ALL if "${WMT" not in path.read_text("utf8")]  # of data that the project has
TINY = sorted((REPOSITORY / "recipes" / "tiny").glob("*.yml"))
DEMO = REPOSITORY / "src" / "seqloom" / "demo" / "dates.yml"
SHORT = ("train.steps=2", "train.batch_tokens=256", "train.log_every=1")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A hundred lines of made-up text, as a source, as a target and as both."""
    random.seed(1)
    words = ["".join(random.choices("abcdefghijklmnopqrst", k=random.randint(2, 7))) for _ in range(60)]
    lines = [" ".join(random.choices(words, k=random.randint(2, 9))) for _ in range(100)]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in lines))
    for side in ("sources", "targets"):
        (tmp_path / "reverse").mkdir(exist_ok=True)
        (tmp_path / "reverse" / f"{side}.txt").write_text((tmp_path / "text").read_text())
    (tmp_path / "table").write_text("".join(f"{line}\t{line}\n" for line in lines))
    return tmp_path


def two_steps(config: Config, directory: Path) -> None:
    assert train(config, directory).step == 2
    assert len(load(directory).translate(["a b"])) == 1


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_takes_two_steps(recipe: Path, text: Path) -> None:
    parallel = f"{{source: {text / 'text'}, target: {text / 'text'}}}"
    changes = [f"data.train={parallel}", f"data.valid={parallel}", "tokenizer.size=100", *SHORT]
    two_steps(read_config(recipe, changes), text / "run")


@pytest.mark.parametrize("recipe", TINY, ids=lambda path: path.stem)
def test_a_tiny_recipe_takes_two_steps(recipe: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOOM_TOY", str(text))
    two_steps(read_config(recipe, SHORT), text / "run")


def built(config: Config) -> Model:
    """The model for as many symbols as the tokenizer may have, its weights without values."""
    tokenizer = describe(config)["tokenizer"]
    source, target = (tokenizer.get(side, tokenizer) for side in ("source", "target"))
    sizes = VocabularySizes(source["size"], target["size"], joint=tokenizer.get("joint", False))
    with torch.device("meta"):
        return config.model(vocabulary=sizes)


@pytest.mark.parametrize(("name", "weights"), PUBLISHED, ids=[name for name, _ in PUBLISHED])
def test_a_published_system_has_as_many_weights_as_its_page_says(name: str, weights: str) -> None:
    model = built(read_config(REPOSITORY / "recipes" / name))
    assert f"{sum(weight.numel() for weight in model.parameters()):,}" == weights


def test_the_page_of_systems_has_a_row_for_each_recipe_of_one() -> None:
    assert [path.name for path in ALL if path not in RECIPES and path.name not in dict(PUBLISHED)] == []
    assert [path.name for path in TINY if f"(../recipes/tiny/{path.name})" not in SYSTEMS] == []


def test_the_demonstration_takes_two_steps(text: Path) -> None:
    table = f"{{tsv: {text / 'table'}}}"
    two_steps(read_config(DEMO, [f"data.train={table}", f"data.valid={table}", *SHORT]), text / "run")


@pytest.mark.data("mt/multi30k")
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_data_that_are_there(recipe: Path, seqloom_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOOM_DATA", str(seqloom_data))
    config = read_config(recipe)
    corpora = [*config.data.train_corpora, *config.data.valid_corpora]
    assert [path for corpus in corpora for path in corpus.files if not path.exists()] == []


def without_attention(changes: Sequence[str]) -> Config:
    return read_config(REPOSITORY / "recipes" / "multi30k-gru-attention.yml", [*changes])


def test_the_baseline_differs_in_attention_alone() -> None:
    """The command in the recipe's head takes attention away and nothing else."""
    plain = describe(without_attention(["model.decoder.attention=null"]))
    full = describe(without_attention([]))
    assert plain["model"]["decoder"].pop("attention") is None
    assert full["model"]["decoder"].pop("attention")["class"] == "AdditiveAttention"
    assert plain == full
