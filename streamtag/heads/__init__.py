"""Your own tags, ready to play: plain arrays and their file. No scikit-learn."""
