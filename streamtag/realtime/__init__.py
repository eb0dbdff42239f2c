"""What runs on the audio thread, and the clock that samples are stamped with: NumPy and Numba, no locks."""
