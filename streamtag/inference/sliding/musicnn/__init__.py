"""The sliding evaluation of musicnn's architecture."""
