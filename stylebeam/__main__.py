"""`python -m stylebeam` is `stylebeam`."""

from pipelines.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
