"""`python -m fdabench`."""

from fdabench.cli.main import main

if __name__ == "__main__":
    main()
