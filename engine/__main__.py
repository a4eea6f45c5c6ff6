"""`python -m engine` is `qyran`."""

from engine.tools.cli import main

if __name__ == "__main__":
    main()
