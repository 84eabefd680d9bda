"""Loss weighting methods, one per file."""
