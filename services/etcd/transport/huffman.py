"""Huffman coding of HPACK strings (RFC 7541 section 5.2).

Decoding walks a table by half bytes: no code is shorter than five bits, so a half byte
completes at most one symbol. The table (some 4 000 entries) is built at first use.
"""

from __future__ import annotations

from functools import cache

from services.etcd.transport.errors import HpackError
from services.etcd.transport.huffman_table import EOS, LENGTHS, codes

_FAIL = -1
_CODES = codes()
_Tree = list["_Tree | int | None"]


def encode(text: bytes) -> bytes:
    """`text` in Huffman code, padded with ones to a whole byte."""
    bits, length = 0, 0
    for byte in text:
        bits = bits << LENGTHS[byte] | _CODES[byte]
        length += LENGTHS[byte]
    pad = -length % 8
    return (bits << pad | (1 << pad) - 1).to_bytes((length + pad) // 8, "big")


def encoded_length(text: bytes) -> int:
    """How many bytes `encode(text)` has."""
    return (sum(LENGTHS[byte] for byte in text) + 7) // 8


def decode(data: bytes) -> bytes:
    """The text behind `data`.

    Raises HpackError: the end mark inside, padding of eight bits or more, or padding that
    is not all ones.
    """
    step, emit, final = _tables()
    out = bytearray()
    state = 0
    for byte in data:
        at = state << 4 | byte >> 4
        symbol = emit[at]
        if symbol >= 0:
            out.append(symbol)
        state = step[at]
        if state < 0:
            raise HpackError("Huffman end mark inside a string")
        at = state << 4 | byte & 15
        symbol = emit[at]
        if symbol >= 0:
            out.append(symbol)
        state = step[at]
        if state < 0:
            raise HpackError("Huffman end mark inside a string")
    if not final[state]:
        raise HpackError("Huffman padding is not a short run of ones")
    return bytes(out)


def _build_tree() -> _Tree:
    root: _Tree = [None, None]
    for symbol, (code, length) in enumerate(zip(_CODES, LENGTHS, strict=True)):
        node = root
        for shift in range(length - 1, 0, -1):
            bit = code >> shift & 1
            child = node[bit]
            if not isinstance(child, list):
                child = [None, None]
                node[bit] = child
            node = child
        node[code & 1] = symbol
    return root


def _inner_nodes(root: _Tree) -> list[_Tree]:
    nodes = [root]
    for node in nodes:
        nodes.extend(child for child in node if isinstance(child, list))
    return nodes


@cache
def _tables() -> tuple[list[int], list[int], list[bool]]:
    """Next state and emitted symbol (or -1) by `state << 4 | nibble`; states that may end."""
    root = _build_tree()
    nodes = _inner_nodes(root)
    number = {id(node): index for index, node in enumerate(nodes)}
    step: list[int] = []
    emit: list[int] = []
    for node in nodes:
        for nibble in range(16):
            target, symbol = _walk(root, node, nibble)
            step.append(_FAIL if target is None else number[id(target)])
            emit.append(symbol)
    final = [False] * len(nodes)
    ones = root
    for _ in range(8):
        final[number[id(ones)]] = True
        child = ones[1]
        assert isinstance(child, list)
        ones = child
    return step, emit, final


def _walk(root: _Tree, node: _Tree, nibble: int) -> tuple[_Tree | None, int]:
    symbol = -1
    for shift in (3, 2, 1, 0):
        child = node[nibble >> shift & 1]
        if isinstance(child, list):
            node = child
        elif child is None or child == EOS:
            return None, symbol
        else:
            symbol, node = child, root
    return node, symbol
