"""``python -m grkan``: the command."""

from grkan._command import main

main()
