"""`python -m k1_deploy`."""

from k1_deploy.app import main

if __name__ == "__main__":
    main()
