"""etcd: a consistent store that speaks etcd's v3 API. `raft` agrees on the log."""
