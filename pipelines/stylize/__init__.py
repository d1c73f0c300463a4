"""`stylebeam stylize`: its options, its plan, its pipeline."""
