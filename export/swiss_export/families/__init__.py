"""The encoder families' parts of the graph, one file each."""

from swiss_export.families.bert import BertGraph
from swiss_export.families.encoder import EncoderGraph
from swiss_export.families.mpnet import MPNetGraph

FAMILIES: dict[str, type[EncoderGraph]] = {
    "bert": BertGraph,
    "mpnet": MPNetGraph,
}
"""By `model_type`."""
