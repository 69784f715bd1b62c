"""``python -m segdoctor`` is the same program as ``segdoctor``."""

from segdoctor.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
