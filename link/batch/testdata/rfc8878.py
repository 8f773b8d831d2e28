"""What doc.go names of RFC 8878: FSE and Huffman coding, and the blocks of Zstandard.

Numbers in it are little endian.
"""


class Corrupt(Exception):
    """The payload is not what its sender made."""


def need(fact, what):
    if not fact:
        raise Corrupt(what)


class Source:
    """Takes bytes off the front of bytes."""

    def __init__(self, b):
        self.b, self.at = b, 0

    def left(self):
        return len(self.b) - self.at

    def take(self, n):
        need(n <= self.left(), "it ends too early")
        self.at += n
        return self.b[self.at - n : self.at]

    def rest(self):
        return self.take(self.left())

    def u8(self):
        return self.take(1)[0]

    def little(self, size):
        return int.from_bytes(self.take(size), "little")


class Bits:
    """A bit stream that is read from its end, the highest bit first (section 4.1)."""

    def __init__(self, b):
        need(b and b[-1], "a bit stream has no end mark")
        self.b = b
        self.left = 8 * len(b) - 9 + b[-1].bit_length()

    def take(self, n):
        """The next n bits; those beyond the stream are zero and make left negative."""
        end, self.left = self.left, self.left - n
        if end <= 0:
            return 0
        low = max(self.left, 0)
        v = int.from_bytes(self.b[low >> 3 : (end + 7) >> 3], "little") >> (low & 7)
        return (v & ((1 << (end - low)) - 1)) << (low - self.left)

    def end(self):
        need(self.left == 0, "a bit stream is of another length than its symbols")


# Section 4.1: FSE. A table is its accuracy, and the symbol, number of bits and
# baseline of each state.


def fse_table(src, most_accuracy, symbols):
    """Section 4.1.1: a table description."""
    ahead, at = int.from_bytes(src.b[src.at : src.at + 1024], "little"), 4
    accuracy = (ahead & 15) + 5
    need(accuracy <= most_accuracy, "an FSE table is too accurate")
    remaining, probabilities = 1 << accuracy, []
    while remaining > 0:
        width = (remaining + 1).bit_length()
        v = ahead >> at & ((1 << width) - 1)
        low = v & ((1 << (width - 1)) - 1)
        spare = (1 << width) - 2 - remaining
        if low < spare:  # this one takes a bit less
            v, width = low, width - 1
        elif v > low:
            v -= spare
        at += width
        remaining -= abs(v - 1)
        probabilities.append(v - 1)
        more = 3 if v == 1 else 0
        while more == 3:
            more = ahead >> at & 3
            at += 2
            probabilities += [0] * more
        need(len(probabilities) <= symbols, "an FSE table has too many symbols")
    need(remaining == 0, "the probabilities of an FSE table are too many")
    src.take((at + 7) // 8)
    return fse_states(accuracy, probabilities)


def fse_states(accuracy, probabilities):
    size = 1 << accuracy
    symbols, high = [0] * size, size
    for s, p in enumerate(probabilities):
        if p == -1:  # less than one
            high -= 1
            symbols[high] = s
    at = 0
    for s, p in enumerate(probabilities):
        for _ in range(p):
            symbols[at] = s
            at = (at + (size >> 1) + (size >> 3) + 3) % size
            while at >= high:
                at = (at + (size >> 1) + (size >> 3) + 3) % size
    following, states = [abs(p) for p in probabilities], []
    for s in symbols:
        bits = accuracy + 1 - following[s].bit_length()
        states.append((s, bits, (following[s] << bits) - size))
        following[s] += 1
    return accuracy, states


def fse_pair(table, stream, most):
    """Section 4.2.1.2: at most so many symbols of two states in turn, until the bits run out."""
    accuracy, states = table
    bits = Bits(stream)
    state, other = bits.take(accuracy), bits.take(accuracy)
    out = bytearray()
    while True:
        symbol, width, base = states[state]
        out.append(symbol)
        need(len(out) < most and bits.left >= 0, "an FSE stream is of another length than its symbols")
        if width > bits.left:
            bits.end()
            out.append(states[other][0])
            return bytes(out)
        state, other = other, base + bits.take(width)


# Section 4.2: Huffman. A table is the number of bits to look at, and the symbol
# and length of the code that they begin with.


def huffman_table(src):
    """Section 4.2.1: a tree description."""
    head = src.u8()
    if head >= 128:
        packed = src.take((head - 126) // 2)
        weights = [w for c in packed for w in (c >> 4, c & 15)][: head - 127]
    else:
        packed = Source(src.take(head))
        weights = list(fse_pair(fse_table(packed, 6, 256), packed.rest(), 255))
    total = sum(1 << w >> 1 for w in weights)
    width = total.bit_length()
    last = (1 << width) - total
    need(0 < width <= 11 and last & (last - 1) == 0, "Huffman weights don't add up")
    weights.append(last.bit_length())
    codes = []
    for weight in range(1, width + 1):
        for symbol, w in enumerate(weights):
            if w == weight:
                codes += [(symbol, width + 1 - w)] * (1 << w >> 1)
    return width, codes


def huffman_stream(table, stream, size):
    """Section 4.2.2: a stream of so many symbols."""
    width, codes = table
    bits, out = Bits(stream), bytearray()
    for _ in range(size):
        symbol, length = codes[bits.take(width)]
        bits.left += width - length
        need(bits.left >= 0, "a Huffman stream ends too early")
        out.append(symbol)
    bits.end()
    return bytes(out)


# Section 3.1.1.2: blocks


class Code:
    """How one of the three numbers of a sequence is written: section 3.1.1.3.2.1."""

    def __init__(self, most_accuracy, extra, least, predefined):
        self.most_accuracy = most_accuracy
        self.extra = extra  # bits after each code
        self.least = [least]  # number of each code
        for n in extra[:-1]:
            self.least.append(self.least[-1] + (1 << n))
        self.predefined = fse_states(*predefined)

    def table(self, mode, src, before):
        if mode == 0:
            return self.predefined
        if mode == 1:
            code = src.u8()
            need(code < len(self.extra), "a code of a sequence is none")
            return 0, [(code, 0, 0)]
        if mode == 2:
            return fse_table(src, self.most_accuracy, len(self.extra))
        need(before, "there is no table to repeat")
        return before

    def number(self, code, bits):
        return self.least[code] + bits.take(self.extra[code])


# Sections 3.1.1.3.2.1.1 and 3.1.1.3.2.2.
CODES = (
    Code(  # literals length
        9, [0] * 16 + [1] * 4 + [2, 2, 3, 3, 4] + list(range(6, 17)), 0,
        (6, [4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4),
    ),
    Code(8, list(range(32)), 1, (5, [1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5)),  # offset
    Code(  # match length
        9, [0] * 32 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5] + list(range(7, 17)), 3,
        (6, [1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7),
    ),
)  # fmt: skip

MOST = 128 << 10  # bytes of a block


def blocks(src, size):
    """The content, of so many bytes, of the blocks of a frame."""
    frame = Frame()
    last = False
    while not last:
        head = src.little(3)
        last, kind, n = head & 1, head >> 1 & 3, head >> 3
        need(n <= MOST and kind < 3, "a block is none")
        end = min(len(frame.out) + MOST, size)
        if kind == 0:
            frame.out += src.take(n)
        elif kind == 1:
            frame.out += src.take(1) * n
        else:
            frame.compressed(Source(src.take(n)), end)
        need(len(frame.out) <= end, "a block is too long")
    return bytes(frame.out)


class Frame:
    """What has come out of a frame, and what its blocks hand on to the next."""

    def __init__(self):
        self.out = bytearray()
        self.huffman = None
        self.tables = [None, None, None]  # as CODES
        self.offsets = [1, 4, 8]

    def compressed(self, src, end):
        """Section 3.1.1.2.3: a compressed block, which may fill out up to end."""
        literals = Source(self.literals(src))
        for length, offset, match in self.sequences(src):
            self.out += literals.take(length)
            at = len(self.out) - offset
            need(0 <= at < len(self.out) and len(self.out) + match <= end, "a match is out of range")
            piece = self.out[at : at + match]
            self.out += (piece * (match // len(piece) + 1))[:match]
        self.out += literals.rest()

    def literals(self, src):
        """Section 3.1.1.3.1."""
        first = src.u8()
        src.at -= 1
        kind, form = first & 3, first >> 2 & 3
        if kind < 2:  # raw, RLE
            size = src.little((1, 2, 1, 3)[form]) >> (3, 4, 3, 4)[form]
            need(size <= MOST, "there are too many literals")
            return src.take(size) if kind == 0 else src.take(1) * size
        width = (10, 10, 14, 18)[form]
        head = src.little((3, 3, 4, 5)[form]) >> 4
        size, packed = head & ((1 << width) - 1), Source(src.take(head >> width))
        need(size <= MOST, "there are too many literals")
        if kind == 2:  # else treeless
            self.huffman = huffman_table(packed)
        need(self.huffman, "there is no tree to use again")
        if form == 0:
            return huffman_stream(self.huffman, packed.rest(), size)
        lengths = [packed.little(2) for _ in range(3)]
        share = (size + 3) // 4
        streams = [(packed.take(n), share) for n in lengths] + [(packed.rest(), size - 3 * share)]
        return b"".join(huffman_stream(self.huffman, stream, n) for stream, n in streams)

    def sequences(self, src):
        """Section 3.1.1.3.2: literals length, offset and match length of each sequence."""
        count = src.u8()
        if count == 255:
            count = src.little(2) + 0x7F00
        elif count >= 128:
            count = (count - 128 << 8) + src.u8()
        if count == 0:
            need(src.left() == 0, "bytes follow a block")
            return
        modes = src.u8()
        need(modes & 3 == 0, "the modes of a block are none")
        self.tables = [c.table(modes >> k & 3, src, t) for c, k, t in zip(CODES, (6, 4, 2), self.tables)]
        bits = Bits(src.rest())
        at = [bits.take(accuracy) for accuracy, _ in self.tables]
        for left in range(count - 1, -1, -1):
            states = [table[i] for (_, table), i in zip(self.tables, at)]
            # Section 3.1.1.3.2.1: the offset comes first, states in another order.
            offset, match, length = (CODES[k].number(states[k][0], bits) for k in (1, 2, 0))
            yield length, self.offset(offset, length), match
            for k in (0, 2, 1) if left else ():
                at[k] = states[k][2] + bits.take(states[k][1])
            need(bits.left >= 0, "sequences end too early")
        bits.end()

    def offset(self, number, length):
        """Section 3.1.1.5: repeat offsets."""
        old = self.offsets
        if number > 3:
            self.offsets = [number - 3, old[0], old[1]]
        else:
            rank = number if length == 0 else number - 1
            self.offsets = [
                old,
                [old[1], old[0], old[2]],
                [old[2], old[0], old[1]],
                [old[0] - 1, old[0], old[1]],
            ][rank]
        return self.offsets[0]
