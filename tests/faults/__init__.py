"""Faults injected into the whole program on a real sound server; the table in docs/reliability.md is made here."""
