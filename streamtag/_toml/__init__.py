"""TOML files whose mistakes are told with their line."""
