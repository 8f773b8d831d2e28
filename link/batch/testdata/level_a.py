"""The body of batches of level A and of chunks: doc.go, "Body" and "Scans"."""

from point import FLOAT32, FLOAT64, NO_VALUE, SIZES, UINT64, scan_head
from source import MASK, Source, float_bits, need, signed, unzigzag

MAX_RECORDS = 65536  # and gaps
MAX_BYTES = 16 << 20  # of records
MAX_GROUPS = 1024
PAGE = 1024  # scans
REASONS = ("", "evicted", "thinned", "damaged", "refused", "expired", "too large")  # bufferstore.Reason


def body(src, budget, carried, find):
    """The records and gaps of a body in order, each as numbers that it takes, reason, bytes.

    carried are the schemas that the payload carries; find gives the types of any other.
    """
    groups = read_groups(src, carried, find)
    runs, counts = read_order(src.section(budget), 2 + len(groups))
    queues = [None, None]
    left = MAX_BYTES
    columns = Columns(src, budget) if groups else None
    for (schema_id, types), scans in zip(groups, counts[2:]):
        left -= scans * (15 + sum(SIZES[t] for t in types))  # 15: the shortest record without values
        need(left >= 0, "records are over 16 MiB")
        queues.append(iter(columns.scans(schema_id, types, scans)))
    if columns:
        columns.end()
    if counts[1]:
        lengths, content = src.section(budget), src.section(budget)
        queues[1] = iter([content.take(lengths.uvarint()) for _ in range(counts[1])])
        need(lengths.left() + content.left() == 0, "opaque records leave bytes over")
    records = []
    for symbol, n, reason in runs:
        if symbol == 0:
            records.append((n, reason, b""))
        else:
            records += [(1, 0, bytes(next(queues[symbol]))) for _ in range(n)]
    need(sum(len(data) for _, _, data in records) <= MAX_BYTES, "records are over 16 MiB")
    return records


def read_groups(src, carried, find):
    """The schema id and types of each group."""
    groups, last = [], 0
    count = src.uvarint()
    need(count <= MAX_GROUPS, "a body has over 1024 groups")
    for _ in range(count):
        place = src.uvarint()
        if place == 0:
            schema_id = src.take(8)
            groups.append((schema_id, find(schema_id)))
        else:
            need(place == last + 1 <= len(carried), "a group's place is out of order")
            last = place
            groups.append((carried[place - 1].id, carried[place - 1].types))
    return groups


def read_order(src, symbols):
    """The order section as symbol, number, reason; and how many records each symbol has."""
    runs, counts, total = [], [0] * symbols, 0
    while src.left():
        symbol, n, reason = src.uvarint(), src.uvarint(), 0
        need(symbol < symbols, "the order names no group")
        if symbol == 0:
            reason = src.u8()
            need(n > 0 and 1 <= reason < len(REASONS), "a gap is none")
        total += n if symbol else 1
        need(total <= MAX_RECORDS, "a payload has over 65536 records")
        counts[symbol] += n
        runs.append((symbol, n, reason))
    return runs, counts


class Columns:
    """The sections of the scans of all groups, and how far they are read."""

    def __init__(self, src, budget):
        self.quality, self.modes, self.exponents, self.numbers = (src.section(budget) for _ in range(4))
        self.assignment, self.pools, self.bits, self.bit = Source(b""), [], b"", 0
        pools = src.u8()
        if pools:
            self.assignment = src.section(budget)
            self.pools = [src.section(budget) for _ in range(pools)]
            self.bits = src.section(budget).rest()

    def end(self):
        sources = [self.quality, self.modes, self.exponents, self.numbers, self.assignment, *self.pools]
        over = any(s.left() for s in sources) or len(self.bits) != (self.bit + 7) // 8
        need(not over, "scans leave bytes over")

    def scans(self, schema_id, types, count):
        """The records of a group."""
        rows = self.qualities(count, len(types))
        records = []
        for at in range(0, count, PAGE):
            records += self.page(schema_id, types, rows[at : at + PAGE])
        return records

    def qualities(self, scans, columns):
        """The qualities of each scan of a group, from the quality section."""
        changes, at, end = {}, 0, 0
        for _ in range(self.quality.uvarint()):
            since = self.quality.uvarint()
            at += since
            first = self.quality.uvarint() + (0 if since else end)
            end = first + self.quality.uvarint()
            need(at < scans and first < end <= columns, "a run of qualities is out of range")
            changes.setdefault(at, []).append((first, end, self.quality.u8()))
        row, rows = [0] * columns, []
        for i in range(scans):
            if i in changes:
                row = list(row)
            for first, end, q in changes.get(i, ()):
                row[first:end] = [q] * (end - first)
            rows.append(row)
        return rows

    def page(self, schema_id, types, rows):
        *stamps, since = (self.column(len(rows), UINT64, self.modes.u8()) for _ in range(5))
        walls = [wall + boottime for wall, boottime in zip(since, stamps[3])]
        records = [bytearray(scan_head(schema_id, stamp, row)) for *stamp, row in zip(*stamps, walls, rows)]
        for i, t in enumerate(types):
            mode = self.modes.u8()
            there = [bool(mode & 32) or row[i] not in NO_VALUE for row in rows]
            cells = iter(self.column(sum(there), t, mode))
            for record, is_there in zip(records, there):
                record += (next(cells) if is_there else 0).to_bytes(SIZES[t], "big")
        return records

    def column(self, cells, t, mode):
        """The raw bits of the cells of a column page."""
        if cells == 0:
            return []
        form, exponent = mode >> 6, 0
        if form:
            exponent = self.exponents.u8()
            need(t in (FLOAT32, FLOAT64) and form < 3, "a form is none")
            need(form == 2 or exponent <= 22, "an exponent is over 22")
        patches = self.patches(cells) if mode & 16 else {}
        palette = self.palette(cells) if mode & 8 else None
        xs = self.integers(cells, mode)
        if palette:
            need(max(xs) < len(palette), "a rank is not in the palette")
            xs = [palette[x] for x in xs]
        raws = [raw_bits(x, t, form, exponent) for x in xs]
        for at, raw in patches.items():
            raws[at] = raw & ((1 << 8 * SIZES[t]) - 1)
        return raws

    def patches(self, cells):
        patches, at = {}, -1
        for _ in range(self.numbers.uvarint()):
            at += 1 + self.numbers.uvarint()
            need(at < cells, "a patch is beyond the cells")
            patches[at] = self.numbers.uvarint()
        return patches

    def palette(self, cells):
        count = self.numbers.uvarint()
        need(0 < count <= cells, "a palette is longer than the cells")
        palette = [self.numbers.varint()]
        for _ in range(count - 1):
            palette.append(palette[-1] + self.numbers.uvarint())
        return palette

    def integers(self, cells, mode):
        transform = mode & 3
        base = self.numbers.varint()
        step = self.numbers.uvarint() if mode & 4 else 1
        if transform == 0:
            return [base & MASK] * cells
        residuals = self.plane(cells) if transform == 1 else [0] + self.plane(cells - 1)
        xs, y, d = [], 0, 0
        for n in residuals:
            d = d + n if transform == 3 else n
            y = d if transform == 1 else y + d
            xs.append(base + step * y & MASK)
        return xs

    def plane(self, cells):
        pool = self.assignment.u8()
        need(pool < len(self.pools), "a plane is of no pool")
        return [unzigzag(self.residual(token)) for token in self.pools[pool].take(cells)]

    def residual(self, token):
        need(token < 128, "a token is none")
        if token < 4:
            return token
        width = token // 2 - 1
        at, self.bit = self.bit, self.bit + width
        need(self.bit <= 8 * len(self.bits), "the bits are used up")
        low = int.from_bytes(self.bits[at >> 3 : (self.bit + 7) >> 3], "little") >> (at & 7)
        return (2 + token % 2 << width) + (low & ((1 << width) - 1))


def raw_bits(x, t, form, exponent):
    """What the forms make of a number."""
    width = 8 * SIZES[t]
    if form == 0:
        v = x & ((1 << width) - 1)
        negative = t in (FLOAT32, FLOAT64) and v >> (width - 1)
        return v ^ ((1 << (width - 1)) - 1) if negative else v
    v = float(signed(x, 64))
    if form == 1:
        v /= 10.0**exponent
    else:
        v *= 2.0 ** -signed(exponent, 8)
    return float_bits(v, SIZES[t])
