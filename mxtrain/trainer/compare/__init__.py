"""One network, several optimizers: the same initial weights, the same batches, one table.

`mxtrain.trainer.compare.compare.compare` runs it; `report` has what it tells.
"""
