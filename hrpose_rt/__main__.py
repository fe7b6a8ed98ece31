"""`python -m hrpose_rt` is `hrpose-rt`."""

from hrpose_rt.cli.main import main

if __name__ == "__main__":
    main()
