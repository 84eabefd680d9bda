"""Reads tables, writes files all or nothing, and makes text safe to show."""
