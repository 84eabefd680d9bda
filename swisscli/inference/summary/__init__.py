"""What many predictions say together: counted as they come, written as text, JSON or a page."""
