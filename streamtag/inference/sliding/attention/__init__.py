"""musicnn's relatives that end in a weighted mean over time: attention and autopool (docs/sliding_attention.md)."""
