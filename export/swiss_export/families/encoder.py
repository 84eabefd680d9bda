"""The parts of the graph that all encoder families share: layers and pooled output."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder
from swiss_export.heads import linear
from swiss_export.precision import BACKENDS
from swiss_export.precision.backend import Linear, Norm, Range, SelfAttention
from swisscli.core.model.graph import EMBEDDING, Precision
from swisscli.core.model.model_config import ModelConfig


class EncoderGraph(ABC):
    """Adds the encoder to a graph. Each method adds nodes and returns the name of their result.

    The graph computes the same as `swiss_training.families.encoder.Encoder` in torch. A family
    implements its embeddings and the position bias of its attention.

    Args:
        config: The model's configuration.
        weights: The model's float32 weights by name.
        precision: Precision of the encoder.
        ranges: Activation ranges of the input channels, by the product's name.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Array],
        precision: Precision,
        ranges: Mapping[str, Range],
    ) -> None:
        self.graph = GraphBuilder()
        self.backend = BACKENDS[precision].make(self.graph, ranges)
        self._pooling = config.pooling
        self.config = config.encoder
        self.weights = weights
        self.first = self.graph.constant("first", np.array([0]))
        self.second = self.graph.constant("second", np.array([1]))
        self._states: list[str] = []
        self._share: str | None = None

    def encode(self) -> str:
        """Add all layers; with cls pooling, keep only the first token's last hidden state.

        Returns:
            The last hidden states, (B, T, D), or (B, 1, D) with cls pooling.
        """
        hidden = self.embed()
        self._states = [hidden]
        scores_bias = self.backend.scores_bias(self.position_bias())
        for number in range(self.config.num_hidden_layers):
            is_last = number == self.config.num_hidden_layers - 1
            # Nothing reads the other tokens of the last layer.
            first_only = is_last and self._pooling == "cls"
            hidden = self._layer(f"encoder.layers.{number}", hidden, scores_bias, first_only)
            self._states.append(hidden)
        return hidden

    def pool(self, hidden: str) -> str:
        """Add the pooled output, (B, D)."""
        if self._pooling == "cls":
            first_BD = self.graph.add("Squeeze", [hidden, self.second], "first_token")
            return self.graph.add(
                "Tanh",
                [linear(self.graph, self.weights, first_BD, "encoder.pooler", "pooler")],
                "pooled_output",
            )
        return self._mean(hidden, "pooled_output")

    def embedding(self) -> str:
        """Add the embedding, (B, D): the mean of the tokens' states, scaled to length 1.

        A token's state is the sum of its embedding and its hidden states in all layers but the
        last. The last layer is left out because it is shaped by the tasks: it says what a text's
        answer is more than what the text says. export/README.md has the measurement.
        """
        graph = self.graph
        states_BTD = graph.add("Sum", self._states[:-1], "states")
        mean_BD = self._mean(states_BTD, "states.mean")
        norm_B1 = graph.add("ReduceL2", [mean_BD, self.second], "states.norm", keepdims=1)
        return graph.add("Div", [mean_BD, norm_B1], EMBEDDING)

    def _mean(self, hidden_BTD: str, output: str) -> str:
        """Add the mean over the real tokens, (B, T, D) -> (B, D)."""
        if self._share is None:
            mask_BT = self.graph.add("Cast", ["attention_mask"], "token", to=TensorProto.FLOAT)
            length_B1 = self.graph.add("ReduceSum", [mask_BT, self.second], "length", keepdims=1)
            share_BT = self.graph.add("Div", [mask_BT, length_B1], "share")
            self._share = self.graph.add("Unsqueeze", [share_BT, self.second], "share.row")
        mean_B1D = self.graph.add("MatMul", [self._share, hidden_BTD], f"{output}.row")
        return self.graph.add("Squeeze", [mean_B1D, self.second], output)

    @abstractmethod
    def embed(self) -> str:
        """Add the embeddings and their layer norm, (B, T, D)."""

    @abstractmethod
    def position_bias(self) -> str | None:
        """Add the bias of the attention scores in every layer, (1, H, T, T), or return None."""

    def words(self) -> str:
        """Look up the word embeddings, (B, T, D)."""
        module = "encoder.embeddings.word"
        return self.backend.lookup("input_ids", module, self.weights[f"{module}.weight"])

    def table(self, module: str) -> str:
        """Store a small embedding table, which stays float32 in every precision."""
        return self.graph.constant(f"{module}.weight", self.weights[f"{module}.weight"])

    def num_tokens(self) -> str:
        """Add the number of tokens T, with shape (1,)."""
        return self.graph.add("Shape", ["input_ids"], "num_tokens", start=1, end=2)

    def norm(self, module: str) -> Norm:
        """Return a module's layer norm."""
        return Norm(
            module,
            self.weights[f"{module}.weight"],
            self.weights[f"{module}.bias"],
            self.config.layer_norm_eps,
        )

    def _layer(
        self, module: str, hidden_BTD: str, scores_bias: Sequence[str], first_only: bool
    ) -> str:
        backend = self.backend
        query, key, value = (
            self._linear(f"{module}.attention.{part}") for part in ("query", "key", "value")
        )
        attention = SelfAttention(
            f"{module}.attention",
            (query, key, value),
            self.config.num_attention_heads,
            first_only,
        )
        attended = backend.attention(hidden_BTD, scores_bias, attention)
        if first_only:
            hidden_BTD = self.graph.first(hidden_BTD, f"{module}.first_token", axis=1)
        hidden_BTD = backend.residual(
            attended,
            self._linear(f"{module}.attention.output"),
            hidden_BTD,
            self.norm(f"{module}.attention_norm"),
        )
        up = backend.linear_activation(
            hidden_BTD, self._linear(f"{module}.up"), self.config.hidden_act
        )
        return backend.residual(
            up,
            self._linear(f"{module}.down"),
            hidden_BTD,
            self.norm(f"{module}.feed_forward_norm"),
        )

    def _linear(self, module: str) -> Linear:
        return Linear(module, self.weights[f"{module}.weight"].T, self.weights[f"{module}.bias"])
