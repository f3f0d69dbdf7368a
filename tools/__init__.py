"""Everything that builds, checks and tries a Strake system.

Each sub-package stands alone and says in its docstring what it is for. They share three
small modules: `errors` (the root of all error trees), `workspace` (where things lie) and
`proc` (the one way to run an external program).
"""
