"""``python -m namel3ss`` is the command `namel3ss`."""

from namel3ss.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
