"""Ways of adapting the encoder to several tasks."""

import os

# TensorLy reads it when it is imported, and cannot be without the library that it names: another program's
# setting of this machine ("jax") must not end a run. Whatever uses TensorLy here names its backend itself.
os.environ.pop("TENSORLY_BACKEND", None)
