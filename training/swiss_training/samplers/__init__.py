"""Task samplers, one per file."""
