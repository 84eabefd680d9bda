"""Further training of an encoder on unlabelled text, by masked language modelling."""
