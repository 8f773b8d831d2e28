"""Schemas and scan records: doc.go, "Schemas and records", and package edge/point."""

import hashlib
import math
import struct

from source import need, signed, uvarint, zigzag

TYPES = ("", "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
SIZES = (0, 1, 2, 2, 4, 4, 8, 8, 4, 8)  # bytes of a value, by type
UINT64, FLOAT32, FLOAT64 = 7, 8, 9
STATISTICS = ("", "count", "min", "mean", "max", "last")
METHODS = ("", "change", "deadband", "swinging door")
NO_VALUE = (0x81, 0x82, 0x83, 0x88, 0x0C)  # bad: comm, exception, not connected, out of service; not recorded
MAX_COLUMNS = 5000


def column_type(t):
    need(1 <= t < len(TYPES), "a type is none")
    return t


class Schema:
    """A schema, read from its canonical form: point.Schema.Append."""

    def __init__(self, src):
        begin = src.at
        version = src.u8()
        need(1 <= version <= 3, "a schema's version is not 1 to 3")
        self.facts = {"group": text(src)}
        if version == 2:
            self.facts["interval_ms"] = src.uvarint()
        count = src.uvarint()
        need(count <= MAX_COLUMNS, "a schema has over 5000 columns")
        self.types, columns = [], []
        for _ in range(count):
            columns.append(self.column(src, version))
        form = src.b[begin : src.at]
        self.id = hashlib.sha256(form).digest()[:8]
        self.facts = {"id": self.id.hex(), **self.facts, "columns": columns, "form": form.hex()}

    def column(self, src, version):
        c = {"id": src.uvarint()}
        self.types.append(column_type(src.u8()))
        c["type"] = TYPES[self.types[-1]]
        c["decimals"] = signed(src.u8(), 8)
        c["factor"], c["offset"] = number(src), number(src)
        for name in ("tag", "unit", "description"):
            c[name] = text(src)
        if version == 2:
            c["statistic"] = name_of(STATISTICS, src.u8())
        elif version == 3:
            c["rule"] = {"method": name_of(METHODS, src.u8()), "error": number(src), "silence_ms": src.uvarint()}
        return c


def name_of(names, value):
    need(value < len(names), "a schema has a value of no name")
    return names[value]


def number(src):
    """A float64, as JSON has it or in words."""
    (v,) = struct.unpack(">d", src.take(8))
    return v if math.isfinite(v) else str(v)


def text(src):
    return src.take(src.u8()).decode("utf-8", "backslashreplace")


def scan_head(schema_id, stamp, qualities):
    """All of a scan record but its values: point.Scan.Append."""
    time_quality, bound, boot, boottime, wall = stamp
    need(time_quality <= 4 and bound <= 255 and boot < 1 << 32, "a stamp is none")
    head = b"\x01" + schema_id + bytes([time_quality, bound])
    head += uvarint(boot) + uvarint(boottime) + uvarint(zigzag(signed(wall, 64)))
    runs = []
    for q in qualities if any(qualities) else ():
        if not runs or runs[-1][1] != q:
            runs.append([0, q])
        runs[-1][0] += 1
    return head + uvarint(len(runs)) + b"".join(uvarint(n) + bytes([q]) for n, q in runs)
