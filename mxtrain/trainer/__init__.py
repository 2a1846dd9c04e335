"""What ``mxtrain fit`` runs: a checked spec, a module, a loop and a run folder."""
