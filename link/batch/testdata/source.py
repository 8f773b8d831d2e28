"""What every part of the decoder reads from: doc.go, "Numbers" and "Section".

Corrupt is raised for what no writer made, Newer for what came after this program.
"""

import math
import struct

import rfc8878

MASK = (1 << 64) - 1
MAX_UNPACKED = 16 << 20  # bytes of all sections of a payload that aren't stored


class Newer(Exception):
    """The payload is of a version, level or flag that is not in the specification."""


Corrupt = rfc8878.Corrupt
need = rfc8878.need


class Source(rfc8878.Source):
    """Takes numbers off the front of bytes."""

    def uint(self, size):
        return int.from_bytes(self.take(size), "big")

    def uvarint(self):
        v = 0
        for shift in range(0, 70, 7):
            c = self.u8()
            v |= (c & 0x7F) << shift
            if c < 0x80:
                need(v <= MASK, "a number is over 64 bits")
                return v
        raise Corrupt("a number is over 64 bits")

    def varint(self):
        return unzigzag(self.uvarint())

    def section(self, budget):
        """The content of the next section; budget is what may still be unpacked of the payload."""
        head = self.uvarint()
        length, method = head >> 3, head & 7
        if method == 0:
            return Source(self.take(length))
        size = self.uvarint()
        need(size > 0, "an empty section is not stored")
        budget.spend(size)
        packed = Source(self.take(length))
        content = unpack(method, packed, size)
        need(packed.left() == 0 and len(content) == size, "a section is of another size than it says")
        return Source(content)


def unpack(method, packed, size):
    if method == 1:
        return packed.take(1) * size
    if method == 2:
        return rfc8878.huffman_stream(rfc8878.huffman_table(packed), packed.rest(), size)
    if method == 3:
        return rfc8878.fse_pair(rfc8878.fse_table(packed, 12, 256), packed.rest(), size)
    need(method == 4, "a section's method is none")
    return rfc8878.blocks(packed, size)


class Budget:
    """How many bytes the sections of one payload may still unpack to."""

    def __init__(self):
        self.left = MAX_UNPACKED

    def spend(self, n):
        self.left -= n
        need(self.left >= 0, "sections are over 16 MiB")


def uvarint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def unzigzag(u):
    return u >> 1 if u & 1 == 0 else -(u >> 1) - 1


def zigzag(n):
    return 2 * n if n >= 0 else -2 * n - 1


def signed(x, width):
    """The low bits of x as a number in two's complement."""
    x &= (1 << width) - 1
    return x - (1 << width) if x >> (width - 1) else x


def float_bits(v, size):
    """The bits of the float of 4 or 8 bytes next to v."""
    if size == 8:
        return int.from_bytes(struct.pack(">d", v), "big")
    try:
        return int.from_bytes(struct.pack(">f", v), "big")
    except OverflowError:  # Python refuses what rounds to infinity
        return int.from_bytes(struct.pack(">f", math.copysign(math.inf, v)), "big")


def crc_table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        yield n


CASTAGNOLI = tuple(crc_table())


def crc32c(b, crc=0):
    crc ^= 0xFFFFFFFF
    for c in b:
        crc = CASTAGNOLI[(crc ^ c) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
