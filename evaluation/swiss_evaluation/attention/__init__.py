"""Attention weights of one input, and their heatmaps (the paper's Figures 1 to 3)."""
