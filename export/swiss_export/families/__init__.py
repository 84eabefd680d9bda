"""The parts of the graph that differ between encoder families, one file per family."""

from swiss_export.families.bert import BertGraph
from swiss_export.families.encoder import EncoderGraph
from swiss_export.families.mpnet import MPNetGraph

FAMILIES: dict[str, type[EncoderGraph]] = {
    "bert": BertGraph,
    "mpnet": MPNetGraph,
}
"""Graph classes by `model_type`."""
