"""`stylebeam ingest`: its options and its pipeline."""
