"""`python -m k1_gateway`: run the gateway."""

from k1_gateway.app import main

if __name__ == "__main__":
    main()
