#!/usr/bin/env python3
"""Reads batches and chunks, written from the specification alone: link/batch/doc.go.

    decoder.py FILE...

Each file is one payload. It gives a JSON line with the header and the schemas,
then one for each record or gap: its epoch and numbers, and its bytes in
hexadecimal or why it was lost. Schemas that a file carries are known to the
files after it. A payload that can't be read gives one line on stderr and no
other, and makes the exit status 1.

Comments and docstrings name the sections of doc.go. rfc8878.py is what those
name of RFC 8878, source.py has numbers and sections, point.py schemas and scan
records, level_a.py the body. Python 3.9 is enough; there are no dependencies.
"""

import argparse
import json
import struct
import sys

sys.dont_write_bytecode = True  # keeps the folder as it is

import level_a  # noqa: E402
import point  # noqa: E402
from source import MASK, Budget, Corrupt, Newer, Source, crc32c, need  # noqa: E402

LANES = ("", "alarm", "result", "custody", "message", "trend", "history")  # point.Lane
MAX_SCHEMAS = 4 << 20  # bytes
OPENING, SCHEMAS, TYPES = 8, 16, 32  # flags


class UnknownSchema(Exception):
    """The batch names a schema that neither it nor a file before it carries."""


class Content:
    """What a payload means, and the checksum over that."""

    def __init__(self, facts):
        self.facts, self.schemas, self.records = facts, [], []
        self.budget = Budget()
        self.crc = 0

    def sum(self, b):
        self.crc = crc32c(b, self.crc)

    def read_schemas(self, src):
        forms = src.section(self.budget)
        need(0 < forms.left() <= MAX_SCHEMAS, "the schemas are none, or over 4 MiB")
        self.sum(forms.b)
        while forms.left():
            self.schemas.append(point.Schema(forms))

    def number(self, records, epoch, first):
        """Gives records of an epoch that follow each other their numbers, the first on."""
        for n, reason, data in records:
            last = first + n - 1
            need(last < MASK, "the numbers are used up")
            self.sum(epoch + struct.pack(">QQBI", first, last, reason, len(data)) + data)
            told = {"lost": level_a.REASONS[reason]} if reason else {"record": data.hex()}
            self.records.append({"epoch": epoch.hex(), "first": first, "last": last, **told})
            first = last + 1

    def end(self, src):
        need(src.uint(4) == self.crc, "the checksum is another")
        need(src.left() == 0, "bytes follow the checksum")
        return self

    def lines(self):
        yield {**self.facts, "schemas": [s.facts for s in self.schemas]}
        yield from self.records


def batch(src, known, read_body):
    """doc.go, "Batch"; known are the types of schemas by id."""
    first_byte, flags = src.u8(), src.u8()
    if flags >> 5:
        raise Newer("flags %#04x" % flags)
    lane = flags & 7
    need(0 < lane < len(LANES), "the lane is none")
    epoch, first = src.take(8), src.uvarint()
    need(first > 0, "the first number is 0")
    acked = first - src.varint() & MASK
    c = Content({"kind": "batch", "lane": LANES[lane], "epoch": epoch.hex(), "first": first, "acked": acked})
    c.sum(bytes([first_byte, lane]) + epoch + struct.pack(">QQB", first, acked, bool(flags & OPENING)))
    if flags & OPENING:
        parent, begin = src.take(8), first - src.uvarint() & MASK
        c.sum(parent + struct.pack(">Q", begin))
        c.facts["opening"] = {"parent": parent.hex(), "first": begin}
    if flags & SCHEMAS:
        c.read_schemas(src)

    def find(schema_id):
        if schema_id not in known:
            raise UnknownSchema(schema_id.hex())
        return known[schema_id]

    records = read_body(src, c.budget, c.schemas, find)
    need(records, "a batch has no record")
    c.number(records, epoch, first)
    c.facts["last"] = c.records[-1]["last"]
    return c.end(src)


def chunk(src, known, read_body):
    """doc.go, "Chunk"; it knows no schemas but those that it carries."""
    first_byte, flags = src.u8(), src.u8()
    if flags not in (0, TYPES, SCHEMAS):
        raise Newer("flags %#04x" % flags)
    spans = [(src.take(8), src.uvarint(), src.uvarint()) for _ in range(src.uvarint())]
    c = Content({"kind": "chunk"})
    c.sum(bytes([first_byte]))
    types = Source(b"")
    if flags == SCHEMAS:
        c.read_schemas(src)
    elif flags == TYPES:
        types = src.section(c.budget)
        c.sum(types.b)

    def find(_):
        count = types.uvarint()
        need(count <= point.MAX_COLUMNS, "a group has over 5000 columns")
        return [point.column_type(t) for t in types.take(count)]

    records = read_body(src, c.budget, c.schemas, find)
    need(types.left() == 0, "types of no group")
    for epoch, first, count in spans:
        need(count <= len(records), "a span is longer than the records")
        c.number(records[:count], epoch, first)
        del records[:count]
    need(not records, "records are beyond the spans")
    return c.end(src)


# By the first byte: version in the upper half, level in the lower.
FIRST_BYTES = {
    0x10: (batch, level_a.body),
    0x18: (chunk, level_a.body),
}


def decode(payload, known):
    """Returns the Content; raises Corrupt, Newer or UnknownSchema."""
    need(payload, "an empty payload")
    if payload[0] not in FIRST_BYTES:
        raise Newer("first byte %#04x" % payload[0])
    read, read_body = FIRST_BYTES[payload[0]]
    return read(Source(payload), known, read_body)


REFUSED = {Corrupt: "corrupt", Newer: "unknown version", UnknownSchema: "schema is not known"}


def main(paths):
    status, known = 0, {}
    for path in paths:
        try:
            with open(path, "rb") as f:
                c = decode(f.read(), known)
        except (Corrupt, Newer, UnknownSchema) as e:
            print("%s: %s: %s" % (path, REFUSED[type(e)], e), file=sys.stderr)
            status = 1
            continue
        known.update((s.id, s.types) for s in c.schemas)
        c.facts = {"file": path, **c.facts}
        for line in c.lines():
            print(json.dumps(line))
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Reads batches and chunks.")
    parser.add_argument("file", nargs="+", help="a payload")
    sys.exit(main(parser.parse_args().file))
