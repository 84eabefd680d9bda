"""fp32: embedding tables and matrix products in float32."""

from swiss_export.builder import Array, GraphBuilder
from swiss_export.precision.backend import Linear, SelfAttention


class Float32Products:
    """`Products` in float32."""

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Look up embeddings, (B, T) -> (B, T, D) float32."""
        table = self._graph.constant(f"{name}.weight", table_VD)
        return self._graph.add("Gather", [table, ids_BT], name)

    def projections(self, x_BTD: str, module: SelfAttention) -> list[str]:
        """Project hidden states to query, key and value."""
        query, key, value = module.projections
        attending = x_BTD
        if module.first_only:
            attending = self._graph.first(x_BTD, f"{x_BTD}.first_token", axis=1)
        return [self.linear(attending, query), self.linear(x_BTD, key), self.linear(x_BTD, value)]

    def linear(self, x_BTI: str, linear: Linear) -> str:
        """Add a linear layer, (B, T, I) -> (B, T, O)."""
        weight = self._graph.constant(f"{linear.name}.weight", linear.weight_IO)
        product = self._graph.add("MatMul", [x_BTI, weight], f"{linear.name}.product")
        bias = self._graph.constant(f"{linear.name}.bias", linear.bias_O)
        return self._graph.add("Sum", [product, bias], linear.name)
