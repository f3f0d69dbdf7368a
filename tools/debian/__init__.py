"""Debian packages as pinned, verified input: from a signed archive to a tools tree.

    packages.toml --resolve--> packages.lock --fetch--> store --toolstree--> /usr, read-only

- `wanted`, `lock`: the two files in `os/packages`, what is asked for and what that came to.
- `archive`, `signature`, `release`: indices, each traced to a pinned OpenPGP key.
- `resolve`, `closure`: apt's own solver in a root of its own, fed with what it could need.
- `mirrors`, `settings`, `aptsources`, `transport`: where files come from; never in the lock.
- `fetch`, `store`, `sync`: files by hash, verified before they get their name.
- `deb`, `unpack`, `toolstree`, `manifest`, `layout`: package contents as a tree whose every
  path is accounted for; no maintainer script ever runs.
- `commands`: what the command line calls.

Import the modules themselves; this one stays empty so that a step pays only for its own.
"""
