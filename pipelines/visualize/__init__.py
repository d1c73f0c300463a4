"""`stylebeam visualize`: its options and its pipeline."""
