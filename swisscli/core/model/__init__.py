"""The model directory: its configuration, its manifest, its files."""
