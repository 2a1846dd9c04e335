"""Compiled kernels: lines of a plan, and update rules, as generated source that Numba compiles.

`lines.py` reads what a plan's lines do, `source.py` writes a function that does it, `cache.py` has
it compiled or finds it on the disk. Generated functions work on raw addresses (`pointers.py`).
"""
