"""`stylebeam import-weights`: published weights become a bundle, without Beam."""
