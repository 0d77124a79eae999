"""`python -m k1_cli`, which the `k1` script runs."""

from k1_cli.app import main

if __name__ == "__main__":
    main()
