"""``python -m streamtag``: the command line."""

from streamtag.cli import main

main()
