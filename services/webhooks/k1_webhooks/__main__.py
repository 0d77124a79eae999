"""Runs the webhooks service as `python -m k1_webhooks`."""

from k1_webhooks.app import main

if __name__ == "__main__":
    main()
