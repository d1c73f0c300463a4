"""`stylebeam evaluate`: its options and its run, without Beam."""
