"""Training: encoder, heads, losses, multitask methods, loop."""
