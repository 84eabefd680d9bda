"""BERT's embeddings in the graph."""

from swiss_export.families.encoder import EncoderGraph
from swiss_export.precision.backend import layer_norm


class BertGraph(EncoderGraph):
    """BERT: embeds words, positions and token types; attention has no position bias."""

    def embed(self) -> str:
        """Add the embeddings and their layer norm, (B, T, D)."""
        graph, module = self.graph, "encoder.embeddings"
        word_BTD = self.words()
        type_BTD = graph.add(
            "Gather",
            [self.table(f"{module}.token_type"), "token_type_ids"],
            f"{module}.token_type",
        )
        position_table = self.table(f"{module}.position")
        position_TD = graph.add(
            "Slice",
            [position_table, self.first, self.num_tokens(), self.first],
            f"{module}.position",
        )
        return layer_norm(graph, [word_BTD, type_BTD, position_TD], self.norm(f"{module}.norm"))

    def position_bias(self) -> None:
        """Return None: BERT's attention has no position bias."""
        return
