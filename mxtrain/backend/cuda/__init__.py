"""Kernels for CUDA devices, written from the same lines and formulas as the compiled ones.

Nothing here imports CuPy but `device.py`: what is generated, and in which order it runs, can be
looked at and tested without a device.
"""
