"""The masked language model, whose head all families share; reads and writes its weights."""

from pathlib import Path
from typing import cast

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from swiss_training.families import FAMILIES
from swiss_training.families.encoder import Encoder
from swiss_training.families.layers import ACTIVATIONS
from swiss_training.families.names import present_name
from swisscli.core.errors import ModelError
from swisscli.core.model.encoder_config import EncoderConfig


class MaskedLanguageHead(nn.Module):
    """Dense layer, activation, layer norm, and a decoder tied to the word embeddings, with a bias.

    Reference: Devlin et al. 2018, arXiv:1810.04805, section 3.1.

    Shape:
        hidden_MD (M, D), words_VD (V, D) -> logits (M, V), M the masked positions
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        own = FAMILIES[config.model_type].masked_lm.activation
        self.activation = ACTIVATIONS[own or config.hidden_act]()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(self.dense.weight.new_zeros(config.vocab_size))
        nn.init.normal_(self.dense.weight, std=config.initializer_range)
        nn.init.zeros_(self.dense.bias)

    def forward(self, hidden_MD: Tensor, words_VD: Tensor) -> Tensor:
        """Compute a logit for every token of the vocabulary."""
        return F.linear(self.norm(self.activation(self.dense(hidden_MD))), words_VD, self.bias)


class MaskedLanguageModel(nn.Module):
    """An encoder and the head that predicts its masked tokens.

    Args:
        encoder: The encoder; its word embeddings are the decoder's weights as well.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = MaskedLanguageHead(encoder.config)

    def forward(
        self,
        input_ids_BT: Tensor,
        attention_mask_BT: Tensor,
        token_type_ids_BT: Tensor,
        positions_M: Tensor,
    ) -> Tensor:
        """Compute logits only at some positions; those of all positions would fill the memory.

        Args:
            input_ids_BT: Token ids, (B, T).
            attention_mask_BT: 1 on real tokens, 0 on padding, (B, T).
            token_type_ids_BT: 0 everywhere for single texts, (B, T).
            positions_M: Positions b * T + t, (M,).

        Returns:
            Logits, (M, V).
        """
        hidden_BTD = self.encoder(input_ids_BT, attention_mask_BT, token_type_ids_BT)
        chosen_MD = hidden_BTD.flatten(0, 1).index_select(0, positions_M)
        table = cast(nn.Embedding, self.encoder.get_submodule("embeddings.word"))
        return self.head(chosen_MD, table.weight)


def load_head(head: MaskedLanguageHead, model_type: str, weights: Path) -> bool:
    """Fill the head with the weights that a checkpoint has for it.

    Args:
        head: The head.
        model_type: The encoder's family.
        weights: The checkpoint, `model.safetensors`, or the graph inside the package.

    Returns:
        Whether the checkpoint has all of them; if not, the head stays unchanged.

    Raises:
        ModelError: if a weight has another shape.
    """
    if weights.suffix != ".safetensors":  # a graph has only the heads of its tasks
        return False
    tensors = {present_name(name): tensor for name, tensor in load_file(weights).items()}
    names = dict(FAMILIES[model_type].masked_lm.tensors())
    if any(theirs not in tensors for theirs in names.values()):
        return False
    own = head.state_dict()
    for ours, theirs in names.items():
        if tensors[theirs].shape != own[ours].shape:
            raise ModelError(
                f"{weights}: {theirs} has shape {tuple(tensors[theirs].shape)},"
                f" config.json asks for {tuple(own[ours].shape)}"
            )
    head.load_state_dict({ours: tensors[theirs].float() for ours, theirs in names.items()})
    return True


def to_checkpoint(model: MaskedLanguageModel) -> dict[str, Tensor]:
    """Return the weights with the names of Hugging Face's masked language model."""
    family = FAMILIES[model.encoder.config.model_type]
    encoder = family.names.to_hugging_face(model.encoder.state_dict())
    tensors = {f"{family.names.prefix}.{name}": tensor for name, tensor in encoder.items()}
    head = model.head.state_dict()
    return tensors | {theirs: head[ours] for ours, theirs in family.masked_lm.tensors()}
