"""The multitask model as one ONNX graph, built operator by operator from its weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from swiss_export.arithmetic import ARITHMETIC, Linear, Norm, Precision, Range, SelfAttention
from swiss_export.builder import Array, GraphBuilder
from swiss_export.heads import HeadBuilder, linear
from swiss_training.model.mpnet import distance_buckets
from swisscli.core.model.model_dir import ModelConfig

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def build_graph(
    config: ModelConfig,
    weights: Mapping[str, Array],
    precision: Precision,
    ranges: Mapping[str, Range],
) -> onnx.ModelProto:
    """Build the graph of the encoder, the pooled output and all heads.

    Args:
        config: Encoder shape, pooling and tasks.
        weights: The model's state by name, float32.
        precision: Of the encoder; the pooled output and the heads are float32.
        ranges: Of the input channels of products, by name; int8 alone uses them.

    Returns:
        The model, a function of the arguments alone: equal weights give equal bytes.
    """
    encoder = _ENCODERS[config.encoder.model_type](config, weights, precision, ranges)
    pooled_SD = encoder.pool(encoder.encode())
    heads = HeadBuilder(encoder.graph, config, weights)
    for task in config.tasks:
        heads.add(task, pooled_SD)
    rows = "B" if config.pair_encoding else "S"
    return encoder.graph.model(
        [helper.make_tensor_value_info(name, TensorProto.INT64, [rows, "T"]) for name in INPUTS],
        [
            helper.make_tensor_value_info(
                task.name,
                TensorProto.FLOAT,
                [rows if config.sequences(task) == 1 else "B", task.num_outputs],
            )
            for task in config.tasks
        ],
    )


class _Encoder(ABC):
    """The parts of the graph. Each method adds nodes and returns the name of their result.

    `swiss_training.model` is the same in torch; a subclass is a family of encoders.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Array],
        precision: Precision,
        ranges: Mapping[str, Range],
    ) -> None:
        self.graph = GraphBuilder()
        self._arithmetic = ARITHMETIC[precision](self.graph, ranges)
        self._pooling = config.pooling
        self._config = config.encoder
        self._weights = weights
        self._first = self.graph.constant("first", np.array([0]))
        self._second = self.graph.constant("second", np.array([1]))

    def encode(self) -> str:
        """Last hidden states, (B, T, D); of the first token alone, (B, 1, D), if pooling is cls."""
        hidden = self._embed()
        scores_bias = self._arithmetic.scores_bias(self._position_bias())
        for number in range(self._config.num_hidden_layers):
            is_last = number == self._config.num_hidden_layers - 1
            # Nothing reads the other tokens of the last layer.
            first_only = is_last and self._pooling == "cls"
            hidden = self._layer(f"encoder.layers.{number}", hidden, scores_bias, first_only)
        return hidden

    def pool(self, hidden: str) -> str:
        """The pooled output, (B, D)."""
        if self._pooling == "cls":
            first_BD = self.graph.add("Squeeze", [hidden, self._second], "first_token")
            return self.graph.add(
                "Tanh",
                [linear(self.graph, self._weights, first_BD, "encoder.pooler", "pooler")],
                "pooled_output",
            )
        mask_BT = self.graph.add("Cast", ["attention_mask"], "token", to=TensorProto.FLOAT)
        length_B1 = self.graph.add("ReduceSum", [mask_BT, self._second], "length", keepdims=1)
        share_BT = self.graph.add("Div", [mask_BT, length_B1], "share")
        share_B1T = self.graph.add("Unsqueeze", [share_BT, self._second], "share.row")
        mean_B1D = self.graph.add("MatMul", [share_B1T, hidden], "mean")
        return self.graph.add("Squeeze", [mean_B1D, self._second], "pooled_output")

    @abstractmethod
    def _embed(self) -> str:
        """The normalised embeddings, (B, T, D)."""

    @abstractmethod
    def _position_bias(self) -> str | None:
        """What the attention of every layer adds to its scores, (1, H, T, T); None for nothing."""

    def _layer(
        self, module: str, hidden_BTD: str, scores_bias: Sequence[str], first_only: bool
    ) -> str:
        arithmetic = self._arithmetic
        query, key, value = (
            self._linear(f"{module}.attention.{part}") for part in ("query", "key", "value")
        )
        attention = SelfAttention(
            f"{module}.attention",
            (query, key, value),
            self._config.num_attention_heads,
            first_only,
        )
        attended = arithmetic.attention(hidden_BTD, scores_bias, attention)
        if first_only:
            hidden_BTD = self.graph.first(hidden_BTD, f"{module}.first_token", axis=1)
        hidden_BTD = arithmetic.residual(
            attended,
            self._linear(f"{module}.attention.output"),
            hidden_BTD,
            self._norm(f"{module}.attention_norm"),
        )
        up = arithmetic.activated(hidden_BTD, self._linear(f"{module}.up"), self._config.hidden_act)
        return arithmetic.residual(
            up,
            self._linear(f"{module}.down"),
            hidden_BTD,
            self._norm(f"{module}.feed_forward_norm"),
        )

    def _linear(self, module: str) -> Linear:
        return Linear(module, self._weights[f"{module}.weight"].T, self._weights[f"{module}.bias"])

    def _norm(self, module: str) -> Norm:
        return Norm(
            module,
            self._weights[f"{module}.weight"],
            self._weights[f"{module}.bias"],
            self._config.layer_norm_eps,
        )

    def _words(self) -> str:
        """Word embeddings, (B, T, D)."""
        module = "encoder.embeddings.word"
        return self._arithmetic.lookup("input_ids", module, self._weights[f"{module}.weight"])

    def _table(self, module: str) -> str:
        """A small embedding table, float32 in every precision."""
        return self.graph.constant(f"{module}.weight", self._weights[f"{module}.weight"])

    def _num_tokens(self) -> str:
        """T, of shape (1,)."""
        return self.graph.add("Shape", ["input_ids"], "num_tokens", start=1, end=2)


class _Bert(_Encoder):
    """Reference: Devlin et al. 2018, arXiv:1810.04805."""

    def _embed(self) -> str:
        graph, module = self.graph, "encoder.embeddings"
        word_BTD = self._words()
        type_BTD = graph.add(
            "Gather",
            [self._table(f"{module}.token_type"), "token_type_ids"],
            f"{module}.token_type",
        )
        position_table = self._table(f"{module}.position")
        position_TD = graph.add(
            "Slice",
            [position_table, self._first, self._num_tokens(), self._first],
            f"{module}.position",
        )
        return self._arithmetic.normalised(
            [word_BTD, type_BTD, position_TD], self._norm(f"{module}.norm")
        )

    def _position_bias(self) -> None:
        return None


class _MPNet(_Encoder):
    """Reference: Song et al. 2020, arXiv:2004.09297."""

    def _embed(self) -> str:
        graph, module = self.graph, "encoder.embeddings"
        padding = graph.constant("padding", np.array(self._config.pad_token_id))
        is_padding_BT = graph.add("Equal", ["input_ids", padding], "is_padding")
        is_token_BT = graph.add("Not", [is_padding_BT], "is_token")
        one_BT = graph.add("Cast", [is_token_BT], "token.one", to=TensorProto.INT64)
        count_BT = graph.add("CumSum", [one_BT, self._second], "token.count")
        number_BT = graph.add("Mul", [count_BT, one_BT], "token.number")
        row_BT = graph.add("Add", [number_BT, padding], "position.row")
        position_BTD = graph.add(
            "Gather", [self._table(f"{module}.position"), row_BT], f"{module}.position"
        )
        return self._arithmetic.normalised(
            [self._words(), position_BTD], self._norm(f"{module}.norm")
        )

    def _position_bias(self) -> str:
        graph, module = self.graph, "encoder.relative_attention_bias"
        furthest = self._config.longest_input - 1
        buckets_R = distance_buckets(
            torch.arange(-furthest, furthest + 1), self._config.relative_attention_num_buckets
        )
        table_HR = self._weights[f"{module}.weight"][buckets_R.numpy()].T
        zero, one = (graph.constant(f"position.{n}", np.array(n)) for n in (0, 1))
        num_tokens = graph.add("Squeeze", [self._num_tokens()], "num_tokens.scalar")
        attended_T = graph.add("Range", [zero, num_tokens, one], "position")
        attending_T1 = graph.add("Unsqueeze", [attended_T, self._second], "position.column")
        distance_TT = graph.add("Sub", [attended_T, attending_T1], "distance")
        shift = graph.constant("distance.furthest", np.array(furthest))
        column_TT = graph.add("Add", [distance_TT, shift], "distance.column")
        return self._arithmetic.position_bias(module, table_HR, column_TT)


_ENCODERS: dict[str, type[_Bert] | type[_MPNet]] = {"bert": _Bert, "mpnet": _MPNet}
