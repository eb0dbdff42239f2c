"""Your own tags: from labelled clips to a head that plays live.

What plays live (`plain`, `headfile`, `play`) needs NumPy and safetensors only; what learns (`head`, `training`) imports
scikit-learn.
"""
