"""`python -m clipita.cli`: the same as the command `clipita`, of the interpreter that runs it."""

from clipita.cli import main

main()
