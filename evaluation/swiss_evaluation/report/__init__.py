"""Write the report: one self-contained HTML page about a trained model."""
