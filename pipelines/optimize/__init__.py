"""`stylebeam optimize`: its options, sweeps, its pipeline."""
