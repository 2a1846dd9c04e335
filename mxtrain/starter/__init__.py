"""The starter that ``mxtrain new`` writes: a commented config and a small table of data."""
