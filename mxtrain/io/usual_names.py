"""What the arrays of an NPZ file are called where no names are given.

Apart from the reader, since checking a config must not import NumPy.
"""

USUAL_NAMES = (("data", "label"), ("X", "y"), ("x", "y"))
"""Data and label; the first pair whose data are there counts."""
