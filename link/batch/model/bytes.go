package model

import (
	"math/bits"
	"reflect"
)

// # The code of records
//
// Numbers are unsigned, of 32 bits, and wrap around, unless it says otherwise;
// ^ is exclusive or, / and >> round down. At both ends a model has a ring of the
// last 2^14 bytes, all 0 at first, histories, chances and weights.
//
// # Stream
//
// A record is its length as the Number size, then its bytes. A byte is 8 bits,
// the highest first, each coded with a chance in 2^-16 that it is 1, which the
// mixer below makes. Places in the record count from 0.
//
// The first byte at place 3 or later that is below 128 may end the boot of a
// stamp (package point). So the Bit timed of kind, the record's first byte
// modulo 8, comes next. If it is 1, the Numbers later and drift follow; 64-bit:
//
//	boottime = boottime of the last stamp of that kind + later
//	wall     = wall of the last stamp of that kind + later + d, drift the zigzag of d
//
// They stand for the next bytes of the record, boottime as a uvarint and wall as
// a varint, cut if it ends before them. These bytes are put into ring and
// before, the place moves on, above, if it is on, goes past two runs of bytes
// from 128 (ten at most each) and the byte behind each, and nothing else is
// learnt of them. Whether the bit was 1 or 0, if at the record's end a uvarint and a
// varint in their shortest form and of 64 bits at most stand there, they are the
// last stamp of that kind. It is 0, 0 at first.
//
// # Chances
//
//	blend(a, b)  h = a*0x9e3779b1 ^ b*0x85ebca77; h ^= h>>15; h *= 0x2c1b3c6d; the result is h ^ h>>13
//	chanceOf(x)  for logits x from -2047 to 2047, in 1/256: squashed[x+2048] of the package's page
//	logitOf(q)   for q in 2^-12: stretched[q] of the same
//
// A chance is p<<10 | n. It learns from p += (2^22-1-p)/(n+2) if what it is
// for came true, else p -= p/(n+2), and n goes up by 1 to 127 at most. As an
// input it is logitOf(p>>10).
//
// A history is a byte that says which bits were seen: 0 none; from 2 to 127 a
// leading 1 and the last bits behind it, one to six, the newest lowest; 128 + 64*y + r
// that the last 7+r were all y, or more if r is 63. When the seventh comes and is like the
// six before, 2 to 127 becomes 128 + 64*y; if it is not like all, the oldest is dropped. The
// other bit makes any run six bits again, of which the newest differs.
// A chance for a history starts with n = 6 and the p that 2^21 becomes by the bits of
// the history, the oldest first, if the k-th, from 0 on, moves it so: p += (2^22-1-p)*2/(2k+3)
// or p -= p*2/(2k+3).
//
// # Contexts
//
// before is the last eight bytes of the record, the newest lowest, 0 where it
// has none; b4 is its lowest 32 bits. i is the place of the byte to come; place is
// (first<<16) | min(i, 255), first being the record's first byte + 1, 0 before it.
//
// Behind each byte but those of a stamp: if it is a letter (a-z, A-Z, or from 128), word =
// blend(word, byte), else, if word is not 0, field = word and word = 0. Then, if the byte is one of
// `:,="{ `, key = blend(field, byte) and offset = 0, else offset goes up by 1. All are 0 at
// the begin of a record.
//
// For recent and above see below; each stands for 256 + the byte that it wants, or 0. Context j, from
// 0 on, is blend(v, j+1) with v being
//
//	0 | b4 & 0xff | b4 & 0xffff | blend(place, above) | blend(key, offset) | blend(above, recent) | b4 & 0xf0f0f0
//
// node is a 1 and behind it the bits of the byte that are known. For each bit, each context in
// order gets a slot, of 2^15 that hold check<<8 | history, 0 at first: with h = context +
// node*0x9e3779b1, then h ^= h>>16, it is slot s = h modulo 2^15 if that has the check h>>24,
// else slot s^1 if that has it, else of the two the one whose history has fewer bits (as
// a binary number; s if equal), which then gets the check and history 0. Input j is
// the chance of context j for that history, of which each context has 256, or 0 if the history is 0.
//
// # Experts
//
// An expert wants one byte, or none. If the bits of node are those that it begins with,
// the expert is in, and its input is the chance that the next bit of it is right too, negated if
// that bit is 0. Else its input is 0. The experts are, in this order,
//
//   - 4 runs, out of 2^11 that hold check<<15 | want<<6 | misses<<4 | hits, 0 at first, want being
//     256 + a byte, or 0. Run j is found as a slot is, before the byte, in order: h = blend(v, j+101),
//     s = h modulo 2^11, check h>>15, and of two the one with fewer hits. The v are
//     b4 | blend(b4, before>>32 & 0xffff) | blend(word, b4 & 0xff) | blend(place, b4 & 0xff).
//     Each j has 64 chances, for misses<<4 | hits.
//   - recent and above, two matches, which if on want the byte at some place in the ring. They have
//     hits and misses, and 64 chances each, for min(misses, 3)<<4 | min(hits, 15).
//   - the clock, which wants the next byte of its text, if there is any left. It has 32 chances, for
//     misses<<4 | hits.
//
// The chances of experts start with n = 1 and p = 2^22-1 - 2^22/(2*hits + 2*misses + 3).
//
// # Mixer
//
// There are 15 inputs: 7 contexts, 7 experts, and 256. In each of 269 sets each has a weight, signed,
// 1638 at first. Four sets are added up:
//
//	r + 5*a          r: 0 if recent is not in, else 1 + min(hits/4, 3); a: the same for above
//	25 + 8*t + k     t: what texture makes of the byte before, 0 at place 0; k: 7 for the highest bit, 0 for the lowest
//	81 + min(i, 59)
//	141 + node modulo 128
//
// With x the sum of inputs times weights, signed and 64-bit, the logit of the bit is x>>16, or -2047
// or 2047 if beyond, and chanceOf it the chance p for the coder. Then, with e = (65535 if the bit was 1,
// else 0) - p, and put the bytes put into the ring so far,
//
//	weight += (input * e * (12 + 491520/(4096+put)) + 2^21) >> 22     signed, 64-bit
//
// in the four sets. Then for each context in order the chance of its slot's history, if that is not 0, learns
// whether the bit was 1, and the history gets the bit. Then the chances of experts that are in learn whether
// they were right.
//
// # Behind a byte
//
//  1. The four runs, in order, each as it was found before the byte, though one before it may since have taken
//     its place. One that wanted the byte has one more hit, up to 15; one that wanted another has
//     one hit and one more miss, up to 3; one that wanted none has one hit. All want the byte then.
//  2. The clock, if it has text left: one more hit, up to 15, or if it wanted another byte misses = 1; its
//     text goes on.
//  3. The byte is put into ring and before.
//  4. recent and above, if on: one more hit, or if it wanted another byte hits = 0 and one more miss; either way
//     the place goes on by 1, and lately, 8 bits, by a bit, 1 for a miss.
//  5. From i = 4 on: head blend(b4, before>>32 & 0xff) modulo 2^12 holds a place in the ring, or none. If it has one
//     and recent has less than 4 hits, and the n bytes before that place are the last n of the record, n as
//     great as can be but 32 and i+1 at most, and n is 4 or more, then recent is on, there, with n hits, no misses, lately
//     0. Then the head holds the place behind the byte.
//  6. At i = 0: if a record began with this byte before, above is on, behind that byte, with 1 hit. At others: if
//     above has less than 16 hits, recent 6 or more, and 4 or more bits of lately of above are 1, above
//     becomes what recent is.
//  7. If the clock has no text left, and the record has a stamp that was coded with timed 1, and the last four bytes
//     begin its wall time in decimal (unsigned), the clock has the rest of that as text; or else if they begin it in UTC in the form
//     2006-01-02T15:04:05.000, from 1970 to 9999. No hits, no misses.
//  8. word, field, key, offset; then the next byte.
//
// Matches are off, hits 0, misses 0, lately 0 and the clock without text at the begin of a record.

const (
	slotContexts = 7
	runContexts  = 4
	experts      = runContexts + 3 // and recent, above, the clock
	inputCount   = slotContexts + experts + 1

	slotCount = 1 << 15
	runCount  = 1 << 11
	headCount = 1 << 12
	ringSize  = 1 << 14

	// where the chances of the experts begin, behind those of the histories
	runChances    = slotContexts * 256
	recentChances = runChances + runContexts*64
	aboveChances  = recentChances + 64
	clockChances  = aboveChances + 64
	chanceCount   = clockChances + 32

	// where the weight sets begin that aren't chosen by the matches
	textureSets = 25
	placeSets   = textureSets + 7*8
	places      = 60
	nodeSets    = placeSets + places
	setCount    = nodeSets + 128

	patience    = 127
	firstWeight = 1638
)

var (
	historyAfter [256][2]uint8 // a 0, a 1
	firstChance  [256]uint32   // after a history
)

func init() {
	firstChance[1] = 1 << 21 << 10 // only as what the others begin from
	for i := range firstChance {
		h := uint8(i)
		historyAfter[h] = [...]uint8{lengthen(h, 0), lengthen(h, 1)}
		if h > 1 {
			firstChance[h] = chanceAfter(h)
		}
	}
}

// lengthen returns the history h with y behind it.
func lengthen(h, y uint8) uint8 {
	longer := h<<1 | y
	switch {
	case h == 0:
		return 2 | y
	case h < 64:
		return longer
	case h < 128 && longer&127 == 127*y:
		return 128 | y<<6
	case h < 128:
		return 64 | longer&63
	case h>>6&1 == y:
		return h&^63 | min(h&63+1, 63)
	}
	return 64 | 62 ^ 63*y
}

// chanceAfter returns the chance that a new model gives to a history, from that
// of the history with one bit less.
func chanceAfter(h uint8) uint32 {
	less, y := h>>1, h&1
	n := uint32(bits.Len8(less)) - 1
	if h >= 128 {
		y = h >> 6 & 1
		less, n = h-1, 6+uint32(h&63)
		if h&63 == 0 {
			less = 64 + 63*y
		}
	}
	p := firstChance[less] >> 10
	if y != 0 {
		p += (1<<22 - 1 - p) * 2 / (2*n + 3)
	} else {
		p -= p * 2 / (2*n + 3)
	}
	return p<<10 | 6
}

// Bytes is the model of records that are no rows: what it has learnt from the
// records so far makes the next ones short. A Bytes is for one goroutine.
type Bytes struct {
	*learnt // nil before the first record
}

// learnt is what outlasts a record. Places in the ring are modulo its size;
// in heads and firsts they have 1 added, and 0 is none.
type learnt struct {
	slots   [slotCount]uint16
	runs    [runCount]uint32
	chances [chanceCount]uint32
	weights [setCount][inputCount]int32
	ring    [ringSize]byte
	next    uint32 // bytes that were ever put into the ring
	heads   [headCount]uint16
	firsts  [256]uint16

	size, later, drift Number
	timed              [8]Bit
	last               [8]stamp
}

// stamp is the two times of one, in ms.
type stamp struct{ boot, wall uint64 }

// NewBytes returns a model that has learnt nothing.
func NewBytes() *Bytes { return new(Bytes) }

func newLearnt() *learnt {
	l := new(learnt)
	for i := range l.chances {
		l.chances[i] = firstChance[i%256]
		if i >= runChances {
			hits, misses := uint32(i%16), uint32(i/16%4)
			l.chances[i] = (1<<22-1-1<<22/(2*hits+2*misses+3))<<10 | 1
		}
	}
	for i := range l.weights {
		for j := range l.weights[i] {
			l.weights[i][j] = firstWeight
		}
	}
	return l
}

// Code codes a record and returns it; when reading it is a new slice. ok is
// false if a reader finds one of more than limit bytes, or that the stream ends
// before it; then neither c nor m is of further use.
func (m *Bytes) Code(c *Coder, b []byte, limit int) (got []byte, ok bool) {
	if m.learnt == nil {
		m.learnt = newLearnt()
	}
	n := m.size.Code(c, uint64(len(b)))
	if c.decoding {
		if n > uint64(max(limit, 0)) {
			return nil, false
		}
		b = nil
	}
	r := record{learnt: m.learnt, c: c}
	stamped := 0
	for r.i < int(n) {
		switch {
		case !c.decoding:
			r.byte(b[r.i])
		case c.Bad():
			return nil, false
		default:
			b = append(b, r.byte(0))
		}
		if stamped == 0 && r.i > 3 && b[r.i-1] < 128 {
			stamped = r.i
			b = r.stamp(b, int(n))
		}
	}
	if s, fits := stampIn(b[stamped:]); fits && stamped > 0 {
		m.last[b[0]%8] = s
	}
	return b, true
}

// Clone returns a model of its own that has learnt the same.
func (m *Bytes) Clone() *Bytes {
	if m.learnt == nil {
		return NewBytes()
	}
	l := *m.learnt
	return &Bytes{&l}
}

// Size returns the bytes of memory that the model takes: next to none before
// the first record, then always the same.
func (m *Bytes) Size() int {
	n := reflect.TypeFor[Bytes]().Size()
	if m.learnt != nil {
		n += reflect.TypeFor[learnt]().Size()
	}
	return int(n)
}

// slot returns the slot of h, which may have been taken from another context.
func (l *learnt) slot(h uint32) uint32 {
	i, check := h%slotCount, uint16(h>>24)
	if l.slots[i]>>8 == check {
		return i
	}
	j := i ^ 1
	if l.slots[j]>>8 == check {
		return j
	}
	if bits.Len8(uint8(l.slots[j])) < bits.Len8(uint8(l.slots[i])) {
		i = j
	}
	l.slots[i] = check << 8
	return i
}

// run does the same for a run.
func (l *learnt) run(h uint32) uint32 {
	i, check := h%runCount, h>>15
	if l.runs[i]>>15 == check {
		return i
	}
	j := i ^ 1
	if l.runs[j]>>15 == check {
		return j
	}
	if l.runs[j]%16 < l.runs[i]%16 {
		i = j
	}
	l.runs[i] = check << 15
	return i
}
