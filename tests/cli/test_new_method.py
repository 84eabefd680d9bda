"""A new method or encoder family is its own file and one entry per registry.

The toys below are added to a copy of the sources, as a contributor would, and then trained.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import DATA, ENCODER, ROOT
from tests.support.program import PROGRAM

PACKAGES = ("swisscli", "training/swiss_training", "export/swiss_export")

SAMPLER = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Repeated:
    times: float

    def __call__(self, epoch):
        for task in epoch.sizes:
            yield (task,) * int(self.times)
"""
WEIGHTING = """
import torch
from torch import nn

class Halved(nn.Module):
    def __init__(self, num_tasks):
        super().__init__()
        self.num_tasks = num_tasks

    def forward(self, losses_K, tasks_K):
        return losses_K / 2

    def weights(self):
        return torch.full((self.num_tasks,), 0.5)
"""
AGGREGATION = """
import torch
from torch import nn

class Averaged(nn.Module):
    def __init__(self, num_tasks, share):
        super().__init__()
        self.share = share

    def forward(self, gram_KK, tasks_K, generator):
        return torch.full_like(gram_KK[0], self.share / len(gram_KK))
"""
REGULARIZER = """
from torch import nn

class Shrunk(nn.Module):
    def __init__(self, model, weight, power):
        super().__init__()
        self.weight, self.power = weight, power

    def forward(self, loss, model, task, batch, output_BC):
        return loss + self.weight * output_BC.float().abs().pow(self.power).mean()

    def after_step(self, model):
        pass
"""


@dataclass(frozen=True)
class Toy:
    """A method: its file, its entry in the registry, and the options that turn it on."""

    file: str
    source: str
    entry: str
    options: dict[str, str | float]


TOYS = (
    Toy(
        "samplers/repeated.py",
        SAMPLER,
        'MethodSpec("repeated", "sampler", "swiss_training.samplers.repeated:Repeated",'
        ' "each task in turn", "nobody", (MethodOption("repeated_times", "times", 2.0, POSITIVE,'
        ' "How often a task comes in its update."),)),',
        {"--sampler": "repeated", "--repeated-times": 3},
    ),
    Toy(
        "weighting/halved.py",
        WEIGHTING,
        'MethodSpec("halved", "weighting", "swiss_training.weighting.halved:Halved",'
        ' "half of each loss", "nobody"),',
        {"--weighting": "halved"},
    ),
    Toy(
        "aggregation/averaged.py",
        AGGREGATION,
        'MethodSpec("averaged", "aggregation", "swiss_training.aggregation.averaged:Averaged",'
        ' "the mean of the gradients", "nobody", (MethodOption("averaged_share", "share", 1.0,'
        ' FRACTION, "Share of the mean."),)),',
        {"--aggregation": "averaged", "--averaged-share": 0.5},
    ),
    Toy(
        "regularizers/shrunk.py",
        REGULARIZER,
        'MethodSpec("shrunk", "regularizer", "swiss_training.regularizers.shrunk:Shrunk",'
        ' "small outputs", "nobody", (MethodOption("shrunk_weight", "weight", 0.0, NOT_NEGATIVE,'
        ' "weight; 0: off."), MethodOption("shrunk_power", "power", 2.0, POSITIVE, "Power."))),',
        {"--shrunk-weight": 0.1, "--shrunk-power": 1.5},
    ),
)


class Sources:
    """A copy of the program's sources, to add to and to run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("models", "__pycache__")
            shutil.copytree(ROOT / package, folder / package, ignore=ignored)

    def write(self, path: str, source: str) -> None:
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)

    def register(self, path: str, registry: str, entry: str) -> None:
        """Add the first entry of a registry."""
        file = self.folder / path
        lines = file.read_text().splitlines()
        (start,) = (index for index, line in enumerate(lines) if line.startswith(f"{registry}:"))
        file.write_text("\n".join([*lines[: start + 1], entry, *lines[start + 1 :]]) + "\n")

    def run(self, *args: object, program: tuple[str, ...] = PROGRAM) -> str:
        packages = [self.folder / Path(package).parent for package in PACKAGES]
        path = os.pathsep.join(map(str, packages))
        done = subprocess.run(
            [*program, *map(str, args)],
            env=os.environ | {"PYTHONPATH": path},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def train(self, encoder: Path, *options: object) -> None:
        self.run(
            *("train", "--encoder", encoder, "--data", DATA, "--output", "run"),
            *("--pooling", "mean", "--device", "cpu", "--max-steps", 3),
            *("--max-dev-rows", 6, *options),
        )


def test_a_method_of_each_kind_is_a_file_and_an_entry(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    for toy in TOYS:
        sources.write(f"training/swiss_training/{toy.file}", toy.source)
        sources.register("swisscli/core/methods.py", "METHODS", toy.entry)
    options = {name: value for toy in TOYS for name, value in toy.options.items()}
    help_text = sources.run("train", "--help")
    assert all(name in help_text for name in options)
    sources.train(ENCODER, *(part for item in options.items() for part in item))
    recipe = tomllib.loads((tmp_path / "run" / "train_config.toml").read_text())
    for name, value in options.items():
        assert recipe[name.removeprefix("--").replace("-", "_")] == value


def test_the_sampler_and_the_tasks_of_contributing_work(tmp_path: Path) -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    fences = re.findall(r"^ *```python\n(.*?)^ *```$", contributing, re.MULTILINE | re.DOTALL)
    blocks = [textwrap.dedent(code) for code in fences]
    (sampler,) = (code for code in blocks if code.startswith('"""'))
    (method,) = (code for code in blocks if code.startswith("MethodSpec("))
    tasks = [code for code in blocks if code.startswith("TaskSpec(")]
    sources = Sources(tmp_path)
    (path,) = re.findall(r"`(training/swiss_training/samplers/\w+\.py)`", contributing)
    sources.write(path, sampler)
    sources.register("swisscli/core/methods.py", "METHODS", f"{method},")
    registry = tmp_path / "swisscli" / "core" / "tasks.py"
    before, loop, after = registry.read_text().partition("    for spec in (\n")
    registry.write_text(before + loop + "".join(f"{code}," for code in tasks) + after)
    (tmp_path / "cola.tsv").write_text("sentence\tacceptable\nA dog sings.\t1\nDog a sings.\t0\n")
    (tmp_path / "qnli.tsv").write_text("problem\tsolution\tis_answered\na b\tc\t1\na c\tb\t0\n")
    files = ("grammar=cola.tsv", "answers=qnli.tsv")
    sources.train(
        ENCODER,
        *("--tasks", "grammar,answers", "--sampler", "inverse", "--inverse-power", 0.5),
        *(part for file in files for part in ("--train", file, "--dev", file)),
    )
    sources.run("export", "run")
    answers = sources.run("predict", "qnli", "qnli.tsv", "--model", "run").splitlines()
    assert [line.split("\t")[0] in ("answered", "not answered") for line in answers] == [True] * 2


BAG_ENCODER = """
from torch import nn

from swiss_training.families.encoder import Encoder
from swiss_training.families.family import EncoderFamily
from swiss_training.families.names import EncoderNames, MaskedLMNames

class Words(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, input_ids_BT, token_type_ids_BT):
        return self.norm(self.word(input_ids_BT))

class BagOfWords(Encoder):
    def __init__(self, config):
        super().__init__(config, Words(config))

    def attention_bias(self, is_token_BT):
        return is_token_BT[:, None, None, :]

LAYERS = ("attention.query", "attention.key", "attention.value", "attention.output",
          "attention_norm", "up", "down", "feed_forward_norm")
BAG = EncoderFamily(
    BagOfWords,
    EncoderNames("bag", (
        ("embeddings.word", "words"), ("embeddings.norm", "words_norm"), ("pooler", "pooler"),
        *((f"layers.{{}}.{name}", f"layer.{{}}.{name}") for name in LAYERS),
    )),
    MaskedLMNames("BagForMaskedLM", "head.dense", "head.norm", "head.bias"),
)
"""
GRAPH = """
from swiss_export.families.encoder import EncoderGraph
from swiss_export.precision.backend import layer_norm

class BagGraph(EncoderGraph):
    def embed(self):
        return layer_norm(self.graph, [self.words()], self.norm("encoder.embeddings.norm"))

    def position_bias(self):
        return None
"""
CHECKPOINT = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from swiss_training.families import FAMILIES, make_encoder
from swisscli.core.model.encoder_config import read_encoder_config
config = read_encoder_config(Path(sys.argv[1]) / "config.json")
state = make_encoder(config).state_dict()
weights = FAMILIES["bag"].names.to_hugging_face(state)
save_file(weights, Path(sys.argv[1]) / "model.safetensors")
"""


def test_an_encoder_family_is_a_folder_a_graph_and_an_entry_in_each_registry(
    tmp_path: Path,
) -> None:
    sources = Sources(tmp_path)
    sources.write("training/swiss_training/families/bag/__init__.py", BAG_ENCODER)
    sources.write("export/swiss_export/families/bag.py", GRAPH)
    rules = '"bag": FamilyRules({"pad_token_id": 0}),'
    sources.register("swisscli/core/model/families.py", "FAMILY_RULES", rules)
    for path, name, module in (
        ("training/swiss_training", "BAG", "swiss_training.families.bag"),
        ("export/swiss_export", "BagGraph", "swiss_export.families.bag"),
    ):
        registry = f"{path}/families/__init__.py"
        sources.register(registry, "FAMILIES", f'"bag": {name},')
        file = sources.folder / registry
        imported = f"\nfrom {module} import {name}\nfrom"
        file.write_text(file.read_text().replace("\nfrom", imported, 1))
    encoder = sources.folder / "encoder"
    encoder.mkdir()
    shutil.copy(ENCODER / "tokenizer.json", encoder)
    values = json.loads((ENCODER / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(values | {"model_type": "bag"}))
    sources.run(encoder, program=(sys.executable, "-c", CHECKPOINT))
    sources.train(encoder)
    for precision in ("fp32", "int8"):
        options = ("--output", precision, "--max-drop", 1)
        shown = sources.run("export", "run", "--precision", precision, *options)
        assert "sentiment" in shown
        assert (sources.folder / precision / "model.onnx").is_file()
