"""MPNet's embeddings and position bias in the graph."""

import numpy as np
import torch
from onnx import TensorProto

from swiss_export.families.encoder import EncoderGraph
from swiss_export.precision.backend import layer_norm
from swiss_training.families.mpnet.encoder import distance_buckets


class MPNetGraph(EncoderGraph):
    """MPNet: embeds words and positions; attention has a bias per distance and head."""

    def embed(self) -> str:
        """Add the embeddings and their layer norm, (B, T, D)."""
        graph, module = self.graph, "encoder.embeddings"
        padding = graph.constant("padding", np.array(self.config.pad_token_id))
        is_padding_BT = graph.add("Equal", ["input_ids", padding], "is_padding")
        is_token_BT = graph.add("Not", [is_padding_BT], "is_token")
        one_BT = graph.add("Cast", [is_token_BT], "token.one", to=TensorProto.INT64)
        count_BT = graph.add("CumSum", [one_BT, self.second], "token.count")
        number_BT = graph.add("Mul", [count_BT, one_BT], "token.number")
        row_BT = graph.add("Add", [number_BT, padding], "position.row")
        position_BTD = graph.add(
            "Gather", [self.table(f"{module}.position"), row_BT], f"{module}.position"
        )
        return layer_norm(graph, [self.words(), position_BTD], self.norm(f"{module}.norm"))

    def position_bias(self) -> str:
        """Add the bias of each head for every distance between two tokens, (1, H, T, T)."""
        graph, module = self.graph, "encoder.relative_attention_bias"
        furthest = self.config.longest_input - 1
        buckets_R = distance_buckets(
            torch.arange(-furthest, furthest + 1), self.config.relative_attention_num_buckets
        )
        table_HR = self.weights[f"{module}.weight"][buckets_R.numpy()].T
        zero, one = (graph.constant(f"position.{n}", np.array(n)) for n in (0, 1))
        num_tokens = graph.add("Squeeze", [self.num_tokens()], "num_tokens.scalar")
        attended_T = graph.add("Range", [zero, num_tokens, one], "position")
        attending_T1 = graph.add("Unsqueeze", [attended_T, self.second], "position.column")
        distance_TT = graph.add("Sub", [attended_T, attending_T1], "distance")
        shift = graph.constant("distance.furthest", np.array(furthest))
        column_TT = graph.add("Add", [distance_TT, shift], "distance.column")
        table_HR = table_HR.astype(self.backend.scores_type)
        table = graph.constant(f"{module}.by_distance", table_HR)
        bias_HTT = graph.add("Gather", [table, column_TT], f"{module}.by_head", axis=1)
        axis = graph.constant("axis.0", np.array([0]))
        return graph.add("Unsqueeze", [bias_HTT, axis], module)
