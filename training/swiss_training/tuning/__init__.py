"""Searches over the options of training: what is searched, its trials, its ledger."""
