"""``python -m flasharb``."""

from flasharb.cli.main import main

if __name__ == "__main__":
    main()
