"""streamtag hears music as it plays: live tags and embeddings with the published musicnn models.

Importing this is instant: each name below is imported when it is first used (`__init__.pyi` says from where), and
TensorFlow, PortAudio and the compiled kernels come when they are first needed.
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *_names]
