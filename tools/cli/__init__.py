"""`./strake`: the command of release engineers and contributors.

A thin surface: every command parses its options here and calls one function of the package
that does the work. Commands are imported when they are used, so that `--help` is quick.
Exit codes: 0 done; 1 the work failed, with `error:` and `hint:` lines; 2 wrong usage;
130 interrupted.
"""
