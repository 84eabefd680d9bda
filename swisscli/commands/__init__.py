"""The commands, each imported when it is called: one function parses, one works."""
