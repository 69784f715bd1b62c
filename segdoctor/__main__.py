"""``python -m segdoctor`` is the same program as ``segdoctor``."""

from segdoctor.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
