"""Reading tables, writing files whole or not at all, and text made safe to show."""
