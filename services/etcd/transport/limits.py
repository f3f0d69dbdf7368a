"""Every bound on what a peer can make this server hold or do, in one place.

Defaults are etcd's where etcd has one (message size, ping policy, concurrent streams far
above any real client); the others are chosen so that no real client meets them and a
hostile one costs little. Sizes are in bytes, times in seconds, rates per second.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Ping policy, both ways (etcd's `--grpc-keepalive-*`)."""

    min_time: float = 5.0
    """Pings from a client closer together than this are strikes."""
    permit_without_stream: bool = False
    """Whether pings at `min_time` are fine while no stream is open; else one in two hours."""
    idle_min_time: float = 7200.0
    """The interval asked of clients without streams when those are not permitted."""
    strikes: int = 2
    """Strikes forgiven before GOAWAY `too_many_pings`."""
    interval: float = 7200.0
    """Silence after which the server pings; 0 turns it off."""
    timeout: float = 20.0
    """How long the server waits for that ping's answer before it closes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds per connection, unless a field says otherwise."""

    keepalive: Keepalive = Keepalive()

    # --- streams
    streams: int = 1 << 16
    """Open streams; advertised, and refused beyond."""
    resets: int = 10_000
    """Burst of streams a peer may have cancelled or broken (rapid reset) …"""
    resets_rate: float = 500.0
    """… and how fast that allowance comes back."""
    control_frames: int = 10_000
    """Burst of frames that carry no request: PING, SETTINGS, PRIORITY, empty DATA …"""
    control_rate: float = 200.0
    """… and how fast that allowance comes back (useful traffic adds to it)."""

    # --- headers
    header_list: int = 64 << 10
    """Decoded header list, counted as HPACK does (32 per field); advertised."""
    header_block: int = 64 << 10
    """Encoded header block over all its CONTINUATION frames."""
    continuations: int = 64
    """CONTINUATION frames of one header block."""
    header_table: int = 4096
    """Dynamic table that peers may use towards us."""
    head_cache: int = 256
    """Decoded header blocks remembered."""

    # --- messages in
    message: int = 2 * MIB
    """One gRPC message or HTTP body (etcd: `--max-request-bytes` + 512 KiB)."""
    connection_window: int = 16 * MIB
    """Flow-control window of the connection."""
    stream_window: int = 65_535
    """Initial window of a stream; longer messages get more when their length is known."""
    inbound_grants: int = 32 * MIB
    """Windows handed out for long messages that are still arriving; the rest wait."""
    inbound_buffer: int = 256 * MIB
    """Unfinished messages held before the connection is closed."""

    # --- messages out
    stream_high_water: int = 256 << 10
    """Queued bytes of a stream above which its handler waits."""
    outbound_queue: int = 64 * MIB
    """Queued bytes of a connection above which new streams are refused."""
    outbound_cap: int = 1024 * MIB
    """Queued bytes of a connection above which it is closed."""
    write_chunk: int = MIB
    """Most queued bytes moved to the socket at once."""
    socket_high_water: int = 4 * MIB
    """Bytes in the socket's buffer above which the peer is not read from any more."""
    stall_timeout: float = 120.0
    """A peer that does not read for so long, while we have bytes for it, is dropped."""

    # --- beginnings and HTTP/1.1
    handshake_timeout: float = 20.0
    """TLS handshake plus first request bytes."""
    http_head: int = 64 << 10
    """Request line and header fields together."""
    http_line: int = 16 << 10
    """Request line, one header field, or one chunk-size line."""
    http_fields: int = 256
    """Header fields of one request."""
    http_idle: float = 300.0
    """Keep-alive silence between HTTP/1.1 requests, and the most one head may take."""
    connections: int = 0
    """Connections of the whole server; 0 means no bound but the descriptor limit."""
