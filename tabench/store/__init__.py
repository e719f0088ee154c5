"""Records on disk: folders, atomic writes, claims, index. No torch.

A file or folder that cannot be read or written as expected is a StoreError that names it and says what to do,
in every function of this room; their docstrings say what else they raise.
"""
