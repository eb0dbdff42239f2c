"""Exact sliding evaluation against the whole network."""
