"""`va`, also as `python -m vacli`."""

from __future__ import annotations

import sys

from vacli.cli import signals


def main() -> None:
    """Import and run the command; an interruption of the import ends the process without a traceback."""
    signals.install()
    try:
        from vacli.cli.main import main as run
    except signals.Stopped as stop:
        print("va: interrupted", file=sys.stderr)
        sys.exit(stop.code)
    run()


if __name__ == "__main__":
    main()
