"""How many proposals per second the core itself carries: `python -m services.etcd.raft.bench`.

Messages go from node to node by function call and storage is memory, so what is measured is
the core's own use of the processor.
"""
