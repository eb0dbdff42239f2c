"""Your own tags: from labelled clips to a head that plays live.

What plays live is in `streamtag.heads` and needs NumPy and safetensors only; only this package imports scikit-learn.
"""
