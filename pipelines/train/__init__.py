"""`stylebeam train` and `export`: options, workdir, workers, without Beam."""
