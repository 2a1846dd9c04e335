"""Files that outlive a run: weights, optimizer states, and the way they are written."""
