"""``python -m tabench``: the command line without its installed script."""

from tabench.cli import main

main()
