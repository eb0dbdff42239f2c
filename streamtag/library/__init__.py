"""A library of music: tagged once, kept in Parquet, searched."""
