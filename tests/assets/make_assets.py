"""Make the small encoders and the small data that the tests train on.

    python tests/assets/make_assets.py

The encoders' weights are random; the sentences are made from templates, so that a small model can
learn them. The quirks of the real files are here too: an unnamed index column, leading spaces,
doubled quotes, a row without a label.
"""

import csv
import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from tokenizers.processors import PostProcessor

from swiss_training.families import FAMILIES, make_encoder
from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.schema import Place

HERE = Path(__file__).parent

ADJECTIVES = (
    ("dreadful", "awful", "horrid"),
    ("dull", "weak", "bad"),
    ("plain", "average", "usual"),
    ("good", "fine", "nice"),
    ("superb", "brilliant", "wonderful"),
)
NOUNS = ("film", "movie", "plot", "cast", "story", "score", "scene", "actor")
VERBS = ("learn", "cook", "sell", "paint", "repair", "clean", "find", "draw")
THINGS = ("rice", "bread", "a car", "a house", "python", "a boat", "music", "a chair")
WORDS = [
    "the",
    "a",
    "is",
    "and",
    "very",
    "it",
    "how",
    "can",
    "i",
    "do",
    "what",
    "are",
    "way",
    "to",
    "best",
    "ways",
    "of",
    "this",
    "that",
    "was",
    "man",
    "woman",
    "dog",
    "plays",
    "runs",
    "sings",
    "eats",
    "sits",
    "on",
    "in",
    "with",
    "grass",
    "water",
    "road",
    "red",
    "blue",
    "small",
    "big",
]


BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MPNET_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>")

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def make_tokenizer(special: tuple[str, ...], template: PostProcessor) -> Tokenizer:
    """A lower-casing WordPiece tokenizer over the templates' words, letters and digits."""
    words = [*WORDS, *NOUNS, *VERBS, *(w for group in ADJECTIVES for w in group)]
    words += [word for thing in THINGS for word in thing.split()]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*letters, *(f"##{char}" for char in letters), *".,!?'\"-`()/*"]
    vocabulary = dict.fromkeys([*special, *pieces, *words])
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(special))
    tokenizer.post_processor = template
    return tokenizer


def save_encoder(directory: Path, tokenizer: Tokenizer, config: dict[str, Any]) -> None:
    """A Hugging Face style directory."""
    directory.mkdir(exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    torch.manual_seed(0)
    encoder = make_encoder(
        EncoderConfig.from_json(config | {"initializer_range": 0.1}, Place("config.json"))
    )
    weights = FAMILIES[encoder.config.model_type].names.to_hugging_face(encoder.state_dict())
    save_file(weights, directory / "model.safetensors")


def make_bert(directory: Path) -> None:
    """A BERT of 64 positions."""
    tokenizer = make_tokenizer(BERT_SPECIAL, processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)))
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": tokenizer.get_vocab_size(),
        **SHAPE,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    save_encoder(directory, tokenizer, config)


def make_mpnet(directory: Path) -> None:
    """An MPNet whose longest input, 160 tokens, is beyond its last bucket of distances."""
    tokenizer = make_tokenizer(
        MPNET_SPECIAL, processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    )
    config = {
        "model_type": "mpnet",
        "architectures": ["MPNetModel"],
        "vocab_size": tokenizer.get_vocab_size(),
        **SHAPE,
        "max_position_embeddings": 162,
        "relative_attention_num_buckets": 32,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-5,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
    }
    save_encoder(directory, tokenizer, config)


def write(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    """TAB separated with csv quoting, an unnamed index column and an id first."""
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, delimiter="\t", lineterminator="\n")
        writer.writerow(["", "id", *columns])
        for index, row in enumerate(rows):
            writer.writerow([index, f"{path.stem}-{index}", *row])


def sentiment(count: int) -> list[list[object]]:
    """Sentences whose adjectives tell the class."""
    rows: list[list[object]] = []
    for index in range(count):
        label = index % 5
        words = random.sample(ADJECTIVES[label], 2)
        noun, other = random.sample(NOUNS, 2)
        rows.append([f" the {noun} is {words[0]} and the {other} is very {words[1]} .", label])
    return rows


def paraphrase(count: int) -> list[list[object]]:
    """Questions about the same thing or not."""
    rows: list[list[object]] = []
    for index in range(count):
        verb, thing = random.choice(VERBS), random.choice(THINGS)
        same = index % 2
        other = thing if same else random.choice([t for t in THINGS if t != thing])
        first = f"How can I {verb} {thing}?"
        second = f'What are the best ways to {verb} "{other}"?'
        rows.append([first, second, f"{same:.1f}"])
    rows.append(["What is this?", "", ""])
    return rows


def similarity(count: int) -> list[list[object]]:
    """Sentences that share as many words as their score says."""
    rows: list[list[object]] = []
    for index in range(count):
        score = index % 6
        first = random.sample(WORDS, 5)
        rest = [word for word in WORDS if word not in first]
        second = first[:score] + random.sample(rest, 5 - score)
        rows.append([" ".join(first), " ".join(second), f"{score:.1f}"])
    return rows


def main() -> None:
    """Write everything."""
    random.seed(0)
    make_bert(HERE / "tiny-bert")
    make_mpnet(HERE / "tiny-mpnet")
    data = HERE / "tiny-data"
    data.mkdir(exist_ok=True)
    pair = ["sentence1", "sentence2"]
    for split, count in (("train", 96), ("dev", 30)):
        write(data / f"ids-sst-{split}.csv", ["sentence", "sentiment"], sentiment(count))
        write(data / f"quora-{split}.csv", [*pair, "is_duplicate"], paraphrase(count + 32))
        write(data / f"sts-{split}.csv", [*pair, "similarity"], similarity(count + 16))


if __name__ == "__main__":
    main()
