"""The chain that batches of level B go along: doc.go, "Level B"."""

from level_a import MAX_RECORDS, REASONS
from model import Coder
from model_bytes import Bytes
from model_form import FLOAT, SIGNED, UNSIGNED
from model_table import Table
from point import FLOAT32, FLOAT64, NO_VALUE, SIZES, TYPES, scan_head
from source import MASK, need

MAX_BYTES = 4 << 20  # of records
MAX_TABLES = 64
MIN_SLOTS, MAX_SLOTS = 6, 16  # log2, of a column
MAX_TABLE_SLOTS = 1 << 20
STAMP_COLUMNS = 5
END, GAP, OPAQUE, NEW, SCAN = range(5)  # what comes next


class Chain:
    """What the batches so far have taught."""

    def __init__(self, slots):
        need(MIN_SLOTS <= slots <= MAX_SLOTS, "the slots of a chain are not 6 to 16")
        self.slots = slots
        self.name, self.epoch, self.last = 0, b"", 0  # of the batch that it stands after
        self.behind = Table([(UNSIGNED, 64)], MIN_SLOTS)
        self.order = Table([(UNSIGNED, 16)], MIN_SLOTS)
        self.gaps = Table([(UNSIGNED, 64), (UNSIGNED, 8)], MIN_SLOTS)
        self.bytes = Bytes()
        self.scans = []

    def read(self, stream, carried, find):
        """How far acked is behind, and the records and gaps of a stream, as level_a.body has them.

        carried are the schemas that the batch carries; find gives the types of any other.
        """
        coder = Coder(stream)
        (behind,) = self.behind.row(coder)
        records, left = [], MAX_BYTES
        while True:
            (symbol,) = self.order.row(coder)
            if symbol == END:
                return behind, records
            if symbol == NEW:
                self.meet(coder, carried, find)
                continue
            records.append(self.record(coder, symbol, left))
            left -= len(records[-1][2])
            need(left >= 0 and len(records) <= MAX_RECORDS, "records are over 65536 or 4 MiB")

    def meet(self, coder, carried, find):
        place = coder.bits(7)
        if place:
            need(place <= len(carried), "a new table is of no schema")
            schema_id, types = carried[place - 1].id, carried[place - 1].types
        else:
            schema_id = coder.bits(64).to_bytes(8, "big")
            types = find(schema_id)
        need(len(self.scans) < MAX_TABLES, "a chain has over 64 tables")
        need(all(s.id != schema_id for s in self.scans), "a table is not new")
        self.scans.append(Scans(schema_id, types, self.slots))

    def record(self, coder, symbol, limit):
        if symbol == GAP:
            n, reason = self.gaps.row(coder)
            need(n < MASK and 1 <= reason < len(REASONS), "a gap is none")
            return n + 1, reason, b""
        if symbol == OPAQUE:
            return 1, 0, self.bytes.record(coder, limit)
        table, qualities = divmod(symbol - SCAN, 2)
        need(table < len(self.scans), "a scan is of no table")
        return 1, 0, self.scans[table].record(coder, qualities)


class Scans:
    """What a chain knows of the scans of one schema."""

    def __init__(self, schema_id, types, slots):
        self.id, self.types = schema_id, types
        columns = [(UNSIGNED, 64)] * STAMP_COLUMNS + [column(t) for t in types]
        while slots > MIN_SLOTS and len(columns) << slots > MAX_TABLE_SLOTS:
            slots -= 1
        self.rows = Table(columns, slots)
        self.quality = Table([(UNSIGNED, 8)] * len(types), MIN_SLOTS)
        self.qualities = [0] * len(types)  # of the last scan

    def record(self, coder, qualities):
        if qualities:
            self.qualities = self.quality.row(coder)
        skip = [False] * STAMP_COLUMNS + [q in NO_VALUE for q in self.qualities]
        cells = self.rows.row(coder, skip)
        *stamp, boottime, since = cells[:STAMP_COLUMNS]
        stamp += boottime, boottime + since
        values = (v.to_bytes(SIZES[t], "big") for t, v in zip(self.types, cells[STAMP_COLUMNS:]))
        return scan_head(self.id, stamp, self.qualities) + b"".join(values)


def column(t):
    """Kind and width in bits of a type of column."""
    if TYPES[t] == "bool":
        return UNSIGNED, 1
    if t in (FLOAT32, FLOAT64):
        return FLOAT, 8 * SIZES[t]
    return SIGNED if TYPES[t].startswith("int") else UNSIGNED, 8 * SIZES[t]
