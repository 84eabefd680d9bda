"""How each encoder family's configuration is read. One entry per family.

Prediction reads these rules without torch. What computes a family is in
`swiss_training/families/NAME/` and `swiss_export/families/NAME.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FamilyRules:
    """How a family reads an encoder configuration.

    Attributes:
        defaults: The keys in which families differ and that this one has, each with the value that
            Hugging Face gives it when a configuration leaves it out.
        positions_after_padding: Whether positions are numbered from the row after the padding
            token's, so that the rows up to it never hold a token.
        pairs_by_token_type: Whether the sentences of a pair differ in their token types; if not,
            separators alone mark them.
    """

    defaults: Mapping[str, int]
    positions_after_padding: bool = False
    pairs_by_token_type: bool = False


FAMILY_RULES: dict[str, FamilyRules] = {
    "bert": FamilyRules({"type_vocab_size": 2, "pad_token_id": 0}, pairs_by_token_type=True),
    "mpnet": FamilyRules(
        {"relative_attention_num_buckets": 32, "pad_token_id": 1}, positions_after_padding=True
    ),
}
"""Rules by `model_type`."""


def foreign_keys(family: str) -> set[str]:
    """Return the keys that other families have and this one does not."""
    return {key for rules in FAMILY_RULES.values() for key in rules.defaults} - (
        FAMILY_RULES[family].defaults.keys()
    )
