"""How many unary calls per second: `python -m services.etcd.transport.bench`.

Echo servers of a put's size take turns under h2load in one run: this transport, grpcio's
asyncio server and the `h2` library, each one process on uvloop. Beside the median of calls
per second the table has the server's CPU time per call, which a busy machine disturbs less.
"""
