"""Shows: what a TOML file makes of what is heard, as messages for other programs (docs/rules.md)."""
