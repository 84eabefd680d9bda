"""The buckets of errors; importing this package registers them."""

from swiss_training.synthesis.buckets import (  # noqa: F401, I001  # in the order of the reports
    roles,
    details,
    rephrasing,
    questions,
    logic,
    polarity,
    viewpoint,
    nuance,
    facts,
    invariance,
    rewriting,
)
