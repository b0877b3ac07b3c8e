"""`python -m vacli` is the same as `va`."""

from vacli.cli.main import main

if __name__ == "__main__":
    main()
