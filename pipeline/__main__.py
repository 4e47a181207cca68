"""``python -m pipeline`` and ``artiphys``."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is imported is told in one line."""
    try:
        from pipeline.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was begun\n")
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
