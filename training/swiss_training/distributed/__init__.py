"""Training in several processes: `ranks.py` is their group, `reduction.py` adds their gradients."""
