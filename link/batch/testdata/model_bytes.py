"""Records that are no rows: package model, "The code of records"."""

import array
import datetime

from model import M32, SQUASHED, STRETCHED, Bit, Number
from source import MASK, need, signed, unzigzag, uvarint, zigzag

RING, SLOTS, RUNS, HEADS = 1 << 14, 1 << 15, 1 << 11, 1 << 12
CONTEXTS, RUN_CONTEXTS = 7, 4
INPUTS, SETS = 15, 269
EXPERT_CHANCES = CONTEXTS * 256  # where those of experts begin, behind those of histories
EPOCH = datetime.datetime(1970, 1, 1)
YEAR_10000 = 253402300800000  # ms


def blend(a, b):
    h = (a * 0x9E3779B1 ^ b * 0x85EBCA77) & M32
    h ^= h >> 15
    h = h * 0x2C1B3C6D & M32
    return h ^ h >> 13


def lengthen(h, y):
    """The history h with y behind it."""
    if h == 0:
        return 2 | y
    longer = h << 1 | y
    if h < 64:
        return longer
    if h < 128:
        return 128 | y << 6 if longer & 127 == 127 * y else 64 | longer & 63
    if h >> 6 & 1 == y:
        return h if h & 63 == 63 else h + 1
    return 0b1000001 if y else 0b1111110


def first_chance(h):
    """The chance that a new model has for a history."""
    seen = [h >> 6 & 1] * (7 + (h & 63)) if h >= 128 else [int(c) for c in bin(h)[3:]]
    p = 1 << 21
    for k, y in enumerate(seen):
        p += ((1 << 22) - 1 - p) * 2 // (2 * k + 3) if y else -(p * 2 // (2 * k + 3))
    return p << 10 | 6


AFTER = [(lengthen(h, 0), lengthen(h, 1)) for h in range(256)]
FIRST_CHANCES = [first_chance(h) for h in range(256)] * CONTEXTS
for state in range(6 * 64 + 32):  # misses, hits
    doubt = 2 * (state & 15) + 2 * (state >> 4 & 3) + 3
    FIRST_CHANCES.append(((1 << 22) - 1 - (1 << 22) // doubt) << 10 | 1)


def teach(chances, at, y):
    p, n = chances[at] >> 10, chances[at] & 1023
    p += ((1 << 22) - 1 - p) // (n + 2) if y else -(p // (n + 2))
    chances[at] = p << 10 | min(n + 1, 127)


def find(table, h, check, shift, used):
    """The place of h in a table whose entries begin with a check, the shift-th bit on."""
    for at in (h, h ^ 1):
        if table[at] >> shift == check:
            return at
    at = h ^ 1 if used(table[h ^ 1]) < used(table[h]) else h
    table[at] = check << shift
    return at


def history_bits(slot):
    return (slot & 255).bit_length()


def hits(run):
    return run & 15


def texture(v):
    """What a byte is in a text."""
    for kind, (first, last) in enumerate((b"09", b"az", b"AZ", (128, 255), (0, 31)), 1):
        if first <= v <= last:
            return kind
    return 6


def shortest(b, at):
    """A uvarint in its shortest form and where it ends; None for anything else."""
    v = 0
    for i, c in enumerate(b[at : at + 10]):
        v |= (c & 127) << 7 * i
        if c < 128:
            return None if i and c == 0 or v > MASK else (v, at + i + 1)
    return None


def stamp_in(b, at):
    """The boottime and wall time of a stamp in ms, modulo 2^64; None if there is none."""
    boot = shortest(b, at)
    wall = boot and shortest(b, boot[1])
    return wall and (boot[0], (wall[0] >> 1 ^ -(wall[0] & 1)) & MASK)


class Match:
    """Follows bytes in the ring."""

    def __init__(self, at=None, hits=0):
        self.at, self.hits, self.misses, self.lately = at, hits, 0, 0

    def copy(self):
        m = Match(self.at, self.hits)
        m.misses, m.lately = self.misses, self.lately
        return m

    def wants(self, ring):
        return 0 if self.at is None else 256 + ring[self.at % RING]

    def state(self):
        return min(self.misses, 3) << 4 | min(self.hits, 15)

    def step(self, want, v):
        """Goes on from what it wanted to behind v, which came."""
        if want == 0:
            return
        missed = want != 256 + v
        self.at += 1
        self.hits = 0 if missed else self.hits + 1
        self.misses += missed
        self.lately = self.lately << 1 & 255 | missed


class Bytes:
    """What the records so far have taught."""

    def __init__(self):
        self.size, self.later, self.drift = Number(), Number(), Number()
        self.timed = [Bit() for _ in range(8)]
        self.last = [(0, 0)] * 8  # stamps, by kind
        self.ring, self.put = bytearray(RING), 0
        self.slots = array.array("H", bytes(2 * SLOTS))
        self.runs = array.array("L", [0] * RUNS)
        self.chances = array.array("L", FIRST_CHANCES)
        self.weights = [array.array("q", [1638] * INPUTS) for _ in range(SETS)]
        self.heads, self.firsts = {}, {}

    def record(self, coder, limit):
        size = self.size.code(coder)
        need(size <= limit, "a record is too long")
        r = Record(self, coder)
        out, stamped = bytearray(), 0
        while len(out) < size:
            v = r.byte()
            out.append(v)
            if not stamped and len(out) > 3 and v < 128:
                stamped = len(out)
                out += r.stamp(out[0] % 8, size - stamped)
        if stamped:
            kind = out[0] % 8
            self.last[kind] = stamp_in(out, stamped) or self.last[kind]
        return bytes(out)


class Record:
    """A record on its way."""

    def __init__(self, model, coder):
        self.m, self.coder = model, coder
        self.i = 0  # place of the next byte
        self.first = self.before = 0
        self.word = self.field = self.key = self.offset = 0
        self.recent, self.above = Match(), Match()
        self.times = ()  # of the stamp, as texts
        self.clock, self.clock_state = b"", 0

    def stamp(self, kind, room):
        """The two times of a stamp, if they come next."""
        m = self.m
        if not m.timed[kind].code(self.coder):
            return b""
        later = m.later.code(self.coder)
        drift = unzigzag(m.drift.code(self.coder))
        boot, wall = m.last[kind]
        boot, wall = boot + later & MASK, wall + later + drift & MASK
        text = (uvarint(boot) + uvarint(zigzag(signed(wall, 64))))[:room]
        for v in text:
            self.put(v)
        self.i += len(text)
        if self.above.at is not None:
            self.skip_stamp()
        self.times = (b"%d" % wall,)
        if wall < YEAR_10000:
            utc = EPOCH + datetime.timedelta(milliseconds=wall)
            self.times += (utc.isoformat(timespec="milliseconds").encode(),)
        return text

    def skip_stamp(self):
        for _ in range(2):
            for _ in range(10):
                if self.m.ring[self.above.at % RING] < 128:
                    break
                self.above.at += 1
            self.above.at += 1

    def put(self, v):
        self.m.ring[self.m.put % RING] = v
        self.m.put += 1
        self.before = (self.before << 8 | v) & MASK

    def byte(self):
        recent, above = self.recent.wants(self.m.ring), self.above.wants(self.m.ring)
        contexts = self.contexts(recent, above)
        runs, experts = self.runs()
        experts += self.others(recent, above)
        node = 1
        for k in range(7, -1, -1):
            node = node << 1 | self.bit(contexts, experts, node, k)
        v = node & 255
        self.learn(runs, recent, above, v)
        return v

    def place(self):
        return (self.first << 16 | min(self.i, 255)) & M32

    def contexts(self, recent, above):
        b4 = self.before & M32
        values = (
            0,
            b4 & 0xFF,
            b4 & 0xFFFF,
            blend(self.place(), above),
            blend(self.key, self.offset),
            blend(above, recent),
            b4 & 0xF0F0F0,
        )
        return [blend(v, j + 1) for j, v in enumerate(values)]

    def runs(self):
        """The places of the runs; and of each what it wants, and where its chance is."""
        b4 = self.before & M32
        values = (
            b4,
            blend(b4, self.before >> 32 & 0xFFFF),
            blend(self.word, b4 & 0xFF),
            blend(self.place(), b4 & 0xFF),
        )
        places, experts = [], []
        for j, v in enumerate(values):
            h = blend(v, j + 101)
            places.append(find(self.m.runs, h % RUNS, h >> 15, 15, hits))
            run = self.m.runs[places[j]]
            experts.append((run >> 6 & 511, EXPERT_CHANCES + 64 * j + (run & 63)))
        return places, experts

    def others(self, recent, above):
        """The same of the other experts."""
        return [
            (recent, EXPERT_CHANCES + 64 * 4 + self.recent.state()),
            (above, EXPERT_CHANCES + 64 * 5 + self.above.state()),
            (256 + self.clock[0] if self.clock else 0, EXPERT_CHANCES + 64 * 6 + self.clock_state),
        ]

    def bit(self, contexts, experts, node, k):
        """Bit k of a byte, of which node has those above."""
        slots, chances = self.m.slots, self.m.chances
        inputs, places = [], []
        for j, h in enumerate(contexts):
            h = h + node * 0x9E3779B1 & M32
            h ^= h >> 16
            places.append(find(slots, h % SLOTS, h >> 24, 8, history_bits))
            history = slots[places[j]] & 255
            inputs.append(STRETCHED[chances[256 * j + history] >> 20] if history else 0)
        inside = [want >> (k + 1) == node for want, _ in experts]
        for (want, chance), is_in in zip(experts, inside):
            logit = STRETCHED[chances[chance] >> 20] if is_in else 0
            inputs.append(logit if want >> k & 1 else -logit)
        inputs.append(256)

        sets = self.sets(node, k, inside[RUN_CONTEXTS], inside[RUN_CONTEXTS + 1])
        x = sum(x * (a + b + c + d) for x, a, b, c, d in zip(inputs, *sets))
        p = SQUASHED[min(max(x >> 16, -2047), 2047) + 2048]
        y = self.coder.bit(p)

        e = ((65535 if y else 0) - p) * (12 + 491520 // (4096 + self.m.put))
        for n, x in enumerate(inputs):
            d = x * e + (1 << 21) >> 22
            for weights in sets:
                weights[n] += d
        for j, at in enumerate(places):
            history = slots[at] & 255
            if history:
                teach(chances, 256 * j + history, y)
            slots[at] = slots[at] & 0xFF00 | AFTER[history][y]
        for (want, chance), is_in in zip(experts, inside):
            if is_in:
                teach(chances, chance, want >> k & 1 == y)
        return y

    def sets(self, node, k, recent, above):
        r = 1 + min(self.recent.hits // 4, 3) if recent else 0
        a = 1 + min(self.above.hits // 4, 3) if above else 0
        t = texture(self.before & 255) if self.i else 0
        return [self.m.weights[n] for n in (r + 5 * a, 25 + 8 * t + k, 81 + min(self.i, 59), 141 + node % 128)]

    def learn(self, runs, recent, above, v):
        """The specification's "Behind a byte"."""
        for at in runs:
            self.m.runs[at] = run_after(self.m.runs[at], v)
        if self.clock:
            if self.clock[0] != v:
                self.clock_state |= 16
            elif self.clock_state & 15 < 15:
                self.clock_state += 1
            self.clock = self.clock[1:]
        self.put(v)
        self.recent.step(recent, v)
        self.above.step(above, v)
        self.align(v)
        self.set_clock()
        self.read(v)
        self.i += 1

    def align(self, v):
        """Finds the matches places to go on from."""
        m, here = self.m, self.m.put % RING
        if self.i >= 4:
            head = blend(self.before & M32, self.before >> 32 & 0xFF) % HEADS
            if head in m.heads and self.recent.hits < 4:
                alike = self.alike(m.heads[head])
                if alike >= 4:
                    self.recent = Match(m.heads[head], alike)
            m.heads[head] = here
        if self.i == 0:
            self.first = v + 1
            if v in m.firsts:
                self.above = Match(m.firsts[v], 1)
            m.firsts[v] = here
        elif self.above.hits < 16 and self.recent.hits >= 6 and bin(self.above.lately).count("1") >= 4:
            self.above = self.recent.copy()

    def alike(self, at):
        """How many bytes before a place are those before the next."""
        ring, n = self.m.ring, 0
        while n < min(32, self.i + 1) and ring[(at - 1 - n) % RING] == ring[(self.m.put - 1 - n) % RING]:
            n += 1
        return n

    def set_clock(self):
        last = (self.before & M32).to_bytes(4, "big")
        for text in self.times:
            if not self.clock and text.startswith(last):
                self.clock, self.clock_state = text[4:], 0

    def read(self, v):
        """Follows the words and keys of a text."""
        if texture(v) in (2, 3, 4):
            self.word = blend(self.word, v)
        elif self.word:
            self.field, self.word = self.word, 0
        self.offset += 1
        if v in b':,="{ ':
            self.key, self.offset = blend(self.field, v), 0


def run_after(run, v):
    """What v makes of a run."""
    want, misses, hits = run >> 6 & 511, run >> 4 & 3, run & 15
    if want == 256 + v:
        hits = min(hits + 1, 15)
    else:
        misses = min(misses + 1, 3) if want else misses
        hits = 1
    return run >> 15 << 15 | 256 + v << 6 | misses << 4 | hits
