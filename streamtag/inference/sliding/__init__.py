"""Exact sliding evaluation of networks on the CPU: what overlapping windows share is computed once.

The same numbers as predicting each window whole, at a small part of the cost (docs/sliding.md). Needs NumPy and Numba,
never TensorFlow.
"""
