"""Offline: one file, many files, musicnn's two functions."""
