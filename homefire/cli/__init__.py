"""The command line: verbs that print and never decide.

Promises: every verb takes `--json` and then prints JSON alone on standard output; errors go to standard error as message and
next step, with exit status 1 (2 for a wrong call); `--help` loads nothing heavy.
Does not cover: doing anything itself: every verb asks the daemon, or starts it as a child.
"""
