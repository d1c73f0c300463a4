"""The command line, and one room a job."""
