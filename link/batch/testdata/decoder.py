#!/usr/bin/env python3
"""Reads batches and chunks, written from the specification alone: link/batch/doc.go.

    decoder.py FILE...

Each file is one payload. It gives a JSON line with the header and the schemas,
then one for each record or gap: its epoch and numbers, and its bytes in
hexadecimal or why it was lost. Schemas that a file carries are known to the
files after it, and so are the chains that its batches made. A payload that
can't be read gives one line on stderr and no other, and makes the exit status 1.

Comments and docstrings name the sections of doc.go. rfc8878.py is what those
name of RFC 8878, source.py has numbers and sections, point.py schemas and scan
records, level_a.py the body. level_b.py has chains, and model.py, model_bytes.py
and model_table.py what they learn with: package model. Python 3.9 is enough;
there are no dependencies.
"""

import argparse
import copy
import json
import struct
import sys

sys.dont_write_bytecode = True  # keeps the folder as it is

import level_a  # noqa: E402
import level_b  # noqa: E402
import point  # noqa: E402
from source import MASK, Budget, Corrupt, Newer, Source, crc32c, need  # noqa: E402

LANES = ("", "alarm", "result", "custody", "message", "trend", "history")  # point.Lane
MAX_SCHEMAS = 4 << 20  # bytes
OPENING, SCHEMAS, TYPES, BASE, PLACE = 8, 16, 32, 32, 64  # flags
CHAINED = 0x17  # first byte of a batch of level B that has flags


class UnknownSchema(Exception):
    """The batch names a schema that neither it nor a file before it carries."""


class UnknownChain(Exception):
    """The batch leans on a chain that no file before it made."""


class Known:
    """What the files so far have told: the types of schemas by id, and chains by lane and tag."""

    def __init__(self):
        self.types, self.chains = {}, {}

    def find(self, schema_id):
        if schema_id not in self.types:
            raise UnknownSchema(schema_id.hex())
        return self.types[schema_id]

    def chain(self, lane, tag):
        if (lane, tag) not in self.chains:
            raise UnknownChain("%04x of lane %s" % (tag, LANES[lane]))
        return copy.deepcopy(self.chains[lane, tag])  # another batch may lean on it too

    def add(self, c):
        self.types.update((s.id, s.types) for s in c.schemas)
        self.chains.update(c.chain)


class Content:
    """What a payload means, and the checksum over that."""

    def __init__(self, facts):
        self.facts, self.schemas, self.records = facts, [], []
        self.chain = {}  # that it made, by lane and tag
        self.budget = Budget()
        self.crc = 0

    def sum(self, b):
        self.crc = crc32c(b, self.crc)

    def header(self, level, lane, epoch, first, acked, opening):
        self.facts.update(lane=LANES[lane], epoch=epoch.hex(), first=first, acked=acked)
        self.sum(bytes([level, lane]) + epoch + struct.pack(">QQB", first, acked, bool(opening)))
        if opening:
            parent, begin = opening
            self.sum(parent + struct.pack(">Q", begin))
            self.facts["opening"] = {"parent": parent.hex(), "first": begin}

    def read_schemas(self, src):
        """Takes the schemas section and returns its content."""
        forms = src.section(self.budget)
        need(0 < forms.left() <= MAX_SCHEMAS, "the schemas are none, or over 4 MiB")
        while forms.left():
            self.schemas.append(point.Schema(forms))
        return forms.b

    def number(self, records, epoch, first):
        """Gives records of an epoch that follow each other their numbers, the first on."""
        for n, reason, data in records:
            last = first + n - 1
            need(last < MASK, "the numbers are used up")
            self.sum(epoch + struct.pack(">QQBI", first, last, reason, len(data)) + data)
            told = {"lost": level_a.REASONS[reason]} if reason else {"record": data.hex()}
            self.records.append({"epoch": epoch.hex(), "first": first, "last": last, **told})
            first = last + 1

    def number_batch(self, records, epoch, first):
        need(records, "a batch has no record")
        self.number(records, epoch, first)
        self.facts["last"] = self.records[-1]["last"]

    def end(self, src):
        need(src.uint(4) == self.crc, "the checksum is another")
        need(src.left() == 0, "bytes follow the checksum")
        return self

    def lines(self):
        yield {**self.facts, "schemas": [s.facts for s in self.schemas]}
        yield from self.records


def batch(src, known):
    """doc.go, "Batch"."""
    first_byte, flags = src.u8(), src.u8()
    lane = lane_of(flags, OPENING | SCHEMAS)
    epoch, first = src.take(8), src.uvarint()
    need(first > 0, "the first number is 0")
    acked = first - src.varint() & MASK
    c = Content({"kind": "batch"})
    c.header(first_byte, lane, epoch, first, acked, opening_of(src, flags, first))
    if flags & SCHEMAS:
        c.sum(c.read_schemas(src))
    c.number_batch(level_a.body(src, c.budget, c.schemas, known.find), epoch, first)
    return c.end(src)


def lane_of(flags, others):
    if flags & ~(7 | others):
        raise Newer("flags %#04x" % flags)
    lane = flags & 7
    need(0 < lane < len(LANES), "the lane is none")
    return lane


def opening_of(src, flags, first):
    return (src.take(8), first - src.uvarint() & MASK) if flags & OPENING else None


def chained(src, known):
    """doc.go, "Level B"."""
    first_byte = src.u8()
    flags = src.u8() if first_byte == CHAINED else BASE | first_byte & 7
    lane = lane_of(flags, OPENING | SCHEMAS | BASE | PLACE)
    if flags & BASE:
        chain = known.chain(lane, src.uint(2))
        epoch, first = chain.epoch, chain.last + 1
    if flags & PLACE:
        epoch, first = src.take(8), src.uvarint()
    if not flags & BASE:
        need(flags & PLACE, "a batch without a base has no place")
        chain = level_b.Chain(src.u8())
    need(first > 0, "the first number is 0")
    c = Content({"kind": "batch", "base": "%08x" % chain.name})
    opening = opening_of(src, flags, first)
    forms = c.read_schemas(src) if flags & SCHEMAS else b""
    need(src.left() >= 4, "it ends too early")
    behind, records = chain.read(src.take(src.left() - 4), c.schemas, known.find)
    c.header(CHAINED, lane, epoch, first, first - 1 - behind & MASK, opening)
    c.sum(struct.pack(">I", chain.name))
    c.number_batch(records, epoch, first)
    c.sum(forms)
    chain.name, chain.epoch, chain.last = c.crc, epoch, c.facts["last"]
    c.chain[lane, c.crc & 0xFFFF] = chain
    return c.end(src)


def chunk(src, _):
    """doc.go, "Chunk"; it knows no schemas but those that it carries."""
    first_byte, flags = src.u8(), src.u8()
    if flags not in (0, TYPES, SCHEMAS):
        raise Newer("flags %#04x" % flags)
    spans = [(src.take(8), src.uvarint(), src.uvarint()) for _ in range(src.uvarint())]
    c = Content({"kind": "chunk"})
    c.sum(bytes([first_byte]))
    types = Source(b"")
    if flags == SCHEMAS:
        c.sum(c.read_schemas(src))
    elif flags == TYPES:
        types = src.section(c.budget)
        c.sum(types.b)

    def find(_):
        count = types.uvarint()
        need(count <= point.MAX_COLUMNS, "a group has over 5000 columns")
        return [point.column_type(t) for t in types.take(count)]

    records = level_a.body(src, c.budget, c.schemas, find)
    need(types.left() == 0, "types of no group")
    for epoch, first, count in spans:
        need(count <= len(records), "a span is longer than the records")
        c.number(records[:count], epoch, first)
        del records[:count]
    need(not records, "records are beyond the spans")
    return c.end(src)


# By the first byte: version in the upper half, level in the lower.
FIRST_BYTES = {0x10: batch, 0x18: chunk, **dict.fromkeys(range(0x11, CHAINED + 1), chained)}


def decode(payload, known):
    """Returns the Content; raises what REFUSED has."""
    need(payload, "an empty payload")
    if payload[0] not in FIRST_BYTES:
        raise Newer("first byte %#04x" % payload[0])
    return FIRST_BYTES[payload[0]](Source(payload), known)


REFUSED = {
    Corrupt: "corrupt",
    Newer: "unknown version",
    UnknownSchema: "schema is not known",
    UnknownChain: "chain is not known",
}


def main(paths):
    status, known = 0, Known()
    for path in paths:
        try:
            with open(path, "rb") as f:
                c = decode(f.read(), known)
        except tuple(REFUSED) as e:
            print("%s: %s: %s" % (path, REFUSED[type(e)], e), file=sys.stderr)
            status = 1
            continue
        known.add(c)
        c.facts = {"file": path, **c.facts}
        for line in c.lines():
            print(json.dumps(line))
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Reads batches and chunks.")
    parser.add_argument("file", nargs="+", help="a payload")
    sys.exit(main(parser.parse_args().file))
