"""Measurements, ours beside the peers' in the same run: ``make bench``. Never collected by the tests."""
