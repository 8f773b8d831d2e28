package model

import (
	"encoding/binary"
	"math/bits"
	"reflect"
	"strconv"
	"time"
)

// The code of records that are no rows. Numbers are unsigned 32-bit and wrap
// around unless it says otherwise; >> of a signed number rounds down.
//
// # Stream
//
// A record is its length as the Number size, then its bytes from the first on.
// A byte is 8 bits, the highest first, each coded with a chance p in 2^-16 that
// it is 1 (Coder.code1), which is made as told below. The byte at place 3 or
// later, counted from 0, that is the first of them below 128 may end the
// ordinal of a stamp's boot (package point): the Bit timed of the first byte
// modulo 8 follows it, and if that is 1 two Numbers, later and then drift:
//
//	boottime = that of the last stamp + later
//	wall     = that of the last stamp + later + drift, drift with its sign in the lowest bit, 64-bit
//
// They stand for the next bytes, boottime as uvarint and wall as varint, as far
// as the record is long enough. These bytes go into the ring and before, as
// below, and nothing else is learnt from them. Whether the bit was 1 or not,
// if at the end of the record two such numbers in their shortest form stand
// there, they are the last stamp of records with that first byte modulo 8.
//
// # Chances
//
//	blend(a, b)   h = a*0x9e3779b1 ^ b*0x85ebca77; h ^= h >> 15; h *= 0x2c1b3c6d; h ^ h >> 13
//	chanceOf(x)   of a logit x in 1/256, -2047 to 2047: see init
//	logitOf(p)    of p in 2^-12: the smallest x of those with chanceOf(x) >= 16p + 8, or 2047
//
// A learnt chance is p << 10 | n, p in 2^-22. Of a bit that is 1 it learns
// p += (2^22-1 - p)/(n+2), of one that is 0 p -= p/(n+2), rounded towards p,
// and n grows by 1 up to 127. As an input to the mixer it is logitOf(p >> 10).
//
// A history is a byte that says which bits a context has seen: 0 none; from 2
// to 127 a 1 and then the last bits, six at most, the newest lowest;
// 128 + 64*y + n the bit y at least n+7 times in a row, n up to 63. Each context
// j has a learnt chance for each history; they start at n = 6 and p as 2^21
// becomes by the bits of the history, oldest first, where the k-th, from 0 on, moves
// it by 2/(2k+3) in place of 1/(n+2).
//
// # Inputs
//
// The eight bytes before in the record, zeros in front of its first, are
// before, the last one lowest; i is the place of the byte, first the record's
// first byte + 1, or 0 as long as there is none. place is first << 16 | min(i, 255).
//
// A letter is a-z, A-Z or a byte from 128. word blends in, from 0 on, each
// letter: blend(word, letter); another byte makes it 0, and field what it was
// if it wasn't 0. A byte out of `:,="{ ` makes key blend(field, byte), with field
// as it then is, and offset 0; every other makes offset one more.
//
// The contexts are blend(v, j+1) with j from 0 and these v:
//
//	0 | before & 0xff | before & 0xffff | blend(place, above) | blend(key, offset) | blend(above, recent) | before & 0xf0f0f0
//
// where above and recent are what these matches want: 256 + the byte, or 0.
// node is 1 followed by the bits of the byte so far. For each context the
// history of the next bit is in a slot, check << 8 | history: with
// h = context + node*0x9e3779b1 and then h ^= h >> 16 it is slot h % 2^15 if its
// check is h >> 24, else that with the lowest bit of the number flipped if the
// check is right there, else whichever of the two has the shorter history (the
// length is the bits behind the leading 1; from 128 on all are the same and the longest),
// the first if they are equal; it gets the check and the history 0. Slots of the contexts
// are looked up in order, before any of them is changed. The input is the
// chance of the history, 0 if there is none yet.
//
// The experts want one byte each, 256 + it, or 0 for none. As long as its bits
// are those of the byte so far, the input is the chance that the next is right
// too, negated if that is a 0; else the input is 0 and nothing is learnt.
//
//   - Four runs: check << 15 | want << 6 | misses << 4 | hits, found as slots are, by
//     h = blend(v, j+101), number h % 2^11, check h >> 15, fewer hits replaced, with these v:
//     low half of before | blend(low half, bytes 5 and 6 before) | blend(word, before & 0xff) | blend(place, before & 0xff).
//     Behind a byte that it wanted a run has one more hit, 15 at most; else one hit,
//     and one more miss, 3 at most, or none if it wanted nothing; then it wants that byte.
//     It has 64 chances, by misses and hits.
//   - The matches recent and above, which each want the byte at some place in the
//     ring and have 64 chances each, by min(misses, 3) << 4 | min(hits, 15).
//   - The clock, which wants the next byte of a text, with 32 chances, by 16 if
//     it has missed and min(hits, 15).
//
// Chances of experts start with n = 1 and p = 2^22-1 - 2^22/(2*hits + 2*misses + 3).
//
// # Mixer
//
// The inputs are those of the contexts, of the experts and 256. Each has a
// weight in 2^-16, signed 32-bit, in each of four sets; the weights of all
// sets start at 1638. The sets are
//
//	a + 5*b          a: 0 if the input of recent is 0, else 1 + min(hits/4, 3); b the same for above
//	25 + 8*t + k     t: the byte before, see texture; k: 7 for the highest bit to 0 for the lowest
//	81 + min(i, 59)
//	141 + node % 128
//
// "is 0" meaning that its byte is out. x is the sum of the products of inputs
// and sums of their weights, >> 16, no further than ±2047; p is chanceOf(x). With
// e = (65535 if the bit was 1, else 0) - p and s the bytes that were ever put
// into the ring, modulo 2^32,
//
//	weight += (input * e * (12 + 120*4096/(4096+s)) + 2^21) >> 22, 64-bit
//
// in all four sets. Then the chances of contexts with a history and those of the experts learn,
// in order, and all histories take the bit in.
//
// # Behind a byte
//
// In this order: runs and clock learn it. It goes into the ring, of 2^14 bytes,
// and into before. Both matches, if they are on, add a hit if they
// wanted it; else they have no hit and one more miss; either way they go on by
// a byte, and bit 0 of lately, shifted up, is 1 for a miss.
//
// At places from 4 on head h = blend(low half of before, the fifth byte before) % 2^12 holds
// where in the ring the byte behind these five came last. If recent is not on
// or has less than 4 hits, and the ring before that place is like the end of this
// record in n bytes, n >= 4 (at most 32 and no more than the record has), recent goes there with n hits
// and no misses. Then the head is set to the end of the ring.
//
// At place 0 above goes where the last record with that first byte went on, with one hit and
// no miss, if there was one; later, if above has less than 16 hits, recent at
// least 6, and 4 or more of the last 8 bits of lately are 1, above becomes a copy of recent.
//
// If the clock has no text left, and the stamp was coded, and the last four bytes are the first four of
// the wall time in decimal or else of the form 2006-01-02T15:04:05.000 in UTC (up to the
// year 9999), its text is the rest of that, with no hit and no miss. The last of both wins.
//
// When two numbers stood for a stamp, above, if on, skips two numbers, each of
// bytes from 128, ten at most, and one more.

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
	chanceOf     [4096]uint16 // of a logit + 2048, in 2^-16
	logitOf      [4096]int16
	historyAfter [256][2]uint8 // a 0, a 1
	firstChance  [256]uint32   // after a history
)

func init() {
	const step = 4278222847 // e^(-1/256) in 2^-32
	e := uint64(1 << 30)    // e^(-i/256) in 2^-30
	for i := range 2048 {
		p := 1 << 46 / (1<<30 + e)
		chanceOf[2048+i], chanceOf[2048-i] = uint16(p), uint16(1<<16-p)
		e = e * step >> 32
	}
	x := 1
	for p := range logitOf {
		for x < 4095 && int(chanceOf[x]) < 16*p+8 {
			x++
		}
		logitOf[p] = int16(x - 2048)
	}
	for i := range 256 {
		h := uint8(i)
		historyAfter[i] = [...]uint8{lengthen(h, 0), lengthen(h, 1)}
		firstChance[i] = chanceAfter(h)
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

// chanceAfter returns the chance that a new model gives to a history.
func chanceAfter(h uint8) uint32 {
	seen, n := uint64(h), bits.Len8(h)-1
	if h >= 128 {
		n = 7 + int(h&63)
		seen = -uint64(h>>6&1) >> 1 // more than n bits of it
	}
	p := uint32(1 << 21)
	for k := range max(n, 0) {
		part := uint32(2*k + 3)
		if seen>>min(n-1-k, 62)&1 != 0 {
			p += (1<<22 - 1 - p) * 2 / part
		} else {
			p -= p * 2 / part
		}
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

// Append appends a snapshot, from which [ParseBytes] makes the model again:
//
//	0, or 1 and { bytes as in a new model uvarint | others uvarint | others }*
func (m *Bytes) Append(dst []byte) []byte {
	if m.learnt == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	b, fresh := m.image(), newLearnt().image()
	for i := 0; i < len(b); {
		start := i
		for i < len(b) && b[i] == fresh[i] {
			i++
		}
		same := i
		for i < len(b) && string(b[i:min(i+3, len(b))]) != string(fresh[i:min(i+3, len(b))]) {
			i++ // one or two that are the same cost less among the others
		}
		dst = binary.AppendUvarint(dst, uint64(same-start))
		dst = append(binary.AppendUvarint(dst, uint64(i-same)), b[same:i]...)
	}
	return dst
}

// ParseBytes reads the snapshot that b begins with and returns what follows it.
// The model goes on exactly as the one that the snapshot was made of.
func ParseBytes(b []byte) (m *Bytes, rest []byte, err error) {
	if len(b) == 0 || b[0] > 1 {
		return nil, nil, errSnapshot
	}
	m = NewBytes()
	if b[0] == 0 {
		return m, b[1:], nil
	}
	b = b[1:]
	m.learnt = newLearnt()
	image := m.image()
	for to := image; len(to) > 0; {
		same, k := binary.Uvarint(b)
		others, n := binary.Uvarint(b[max(k, 0):])
		if k <= 0 || n <= 0 || same > uint64(len(to)) || others > uint64(len(to))-same || same+others == 0 {
			return nil, nil, errSnapshot
		}
		b = b[k+n:]
		if others > uint64(len(b)) {
			return nil, nil, errSnapshot
		}
		to = to[same:]
		copy(to, b[:others])
		to, b = to[others:], b[others:]
	}
	m.walk(func(_ uint64, size int) (v uint64) {
		for i, c := range image[:size] {
			v |= uint64(c) << (8 * i)
		}
		image = image[size:]
		return v
	})
	return m, b, nil
}

// image returns all numbers of l, little endian.
func (l *learnt) image() []byte {
	b := make([]byte, 0, reflect.TypeFor[learnt]().Size())
	l.walk(func(v uint64, size int) uint64 {
		for i := range size {
			b = append(b, byte(v>>(8*i)))
		}
		return v
	})
	return b
}

// walk hands each number of l to f, with its bytes, and takes what f makes of it.
func (l *learnt) walk(f func(v uint64, size int) uint64) {
	for i := range l.slots {
		l.slots[i] = uint16(f(uint64(l.slots[i]), 2))
	}
	for i := range l.runs {
		l.runs[i] = uint32(f(uint64(l.runs[i]), 4))
	}
	for i := range l.chances {
		l.chances[i] = uint32(f(uint64(l.chances[i]), 4))
	}
	for i := range l.weights {
		for j := range l.weights[i] {
			l.weights[i][j] = int32(f(uint64(l.weights[i][j]), 4))
		}
	}
	for i := range l.ring {
		l.ring[i] = byte(f(uint64(l.ring[i]), 1))
	}
	l.next = uint32(f(uint64(l.next), 4))
	for i := range l.heads {
		l.heads[i] = uint16(f(uint64(l.heads[i]), 2))
	}
	for i := range l.firsts {
		l.firsts[i] = uint16(f(uint64(l.firsts[i]), 2))
	}
	bit := func(b *Bit) { b.p, b.n = uint16(f(uint64(b.p), 2)), uint8(f(uint64(b.n), 1)) }
	for _, n := range [...]*Number{&l.size, &l.later, &l.drift} {
		for i := range n.longer {
			bit(&n.longer[i])
			bit(&n.second[i])
		}
	}
	for i := range l.last {
		bit(&l.timed[i])
		l.last[i] = stamp{f(l.last[i].boot, 8), f(l.last[i].wall, 8)}
	}
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

// record is a record on its way.
type record struct {
	*learnt
	c      *Coder
	i      int    // place of the next byte
	first  uint32 // byte + 1
	before uint64

	word, field, key, offset uint32

	contexts      [slotContexts]uint32
	runAt         [runContexts]uint32
	experts       [experts]expert
	texture       int // of the byte before
	recent, above match
	times         [2]string // as a text may give them; empty without a stamp
	clock         string    // what is left of one
	clockState    uint32    // hits, 16 if it has missed
}

// expert is what one expects of the next byte.
type expert struct {
	want   uint32 // 256 + byte; 0 for none
	chance uint32
}

// right reports whether its byte begins with the bits of node, 7-k of them.
func (e *expert) right(node uint32, k int) bool { return e.want>>(k+1) == node }

// match follows bytes in the ring.
type match struct {
	on           bool
	at           uint32 // place of what it wants
	hits, misses uint32
	lately       uint8 // 1 for a miss
}

func (m *match) want(l *learnt) uint32 {
	if !m.on {
		return 0
	}
	return 256 | uint32(l.ring[m.at%ringSize])
}

func (m *match) state() uint32 { return min(m.misses, 3)<<4 | min(m.hits, 15) }

// step goes on, from what it wanted to behind v, which came.
func (m *match) step(want uint32, v byte) {
	if want == 0 {
		return
	}
	m.at++
	m.hits++
	m.lately <<= 1
	if byte(want) != v {
		m.hits = 0
		m.misses++
		m.lately |= 1
	}
}

// stamp codes the two times that may follow in a record of n bytes, and appends
// them to b when reading.
func (r *record) stamp(b []byte, n int) []byte {
	kind := b[0] % 8
	last := r.last[kind]
	var s stamp
	fits := false
	if !r.c.decoding {
		s, fits = stampIn(b[r.i:])
	}
	later := s.boot - last.boot
	drift := s.wall - last.wall - later
	// A wall time before 2004 is hardly one, so this isn't a stamp.
	fits = fits && later < 1<<40 && drift+1<<20 < 1<<21 && s.wall>>40 != 0
	if !r.c.Bit(&r.timed[kind], fits) {
		return b
	}
	later = r.later.Code(r.c, later)
	drift = r.drift.Code(r.c, drift<<1^-(drift>>63))
	s = stamp{last.boot + later, last.wall + later + (drift>>1 ^ -(drift & 1))}
	text := binary.AppendVarint(binary.AppendUvarint(nil, s.boot), int64(s.wall))
	text = text[:min(len(text), n-r.i)]
	for _, v := range text {
		r.put(v)
	}
	r.i += len(text)
	if r.c.decoding {
		b = append(b, text...)
	}
	r.skipStamp()
	r.times[0] = strconv.FormatUint(s.wall, 10)
	if s.wall < 253402300800000 { // the year 10,000
		r.times[1] = time.UnixMilli(int64(s.wall)).UTC().Format("2006-01-02T15:04:05.000")
	}
	return b
}

// skipStamp takes above past the two times.
func (r *record) skipStamp() {
	for range 2 {
		for n := 0; n < 10 && r.ring[r.above.at%ringSize] >= 128; n++ {
			r.above.at++
		}
		r.above.at++
	}
}

// stampIn reads two times in their shortest form, so that they can be made again.
func stampIn(b []byte) (s stamp, ok bool) {
	boot, i := binary.Uvarint(b)
	wall, j := binary.Varint(b[max(i, 0):])
	if i <= 0 || j <= 0 || i > 1 && b[i-1] == 0 || j > 1 && b[i+j-1] == 0 {
		return stamp{}, false
	}
	return stamp{boot, uint64(wall)}, true
}

// byte codes a byte and learns it.
func (r *record) byte(v byte) byte {
	r.expect()
	node := uint32(1)
	for k := 7; k >= 0; k-- {
		node <<= 1
		if r.bit(node>>1, k, v>>k&1 != 0) {
			node |= 1
		}
	}
	r.learn(byte(node))
	return byte(node)
}

func blend(a, b uint32) uint32 {
	h := a*0x9e3779b1 ^ b*0x85ebca77
	h ^= h >> 15
	h *= 0x2c1b3c6d
	return h ^ h>>13
}

// expect makes contexts and experts ready for the next byte.
func (r *record) expect() {
	before := uint32(r.before)
	place := r.first<<16 | uint32(min(r.i, 255))
	recent, above := r.recent.want(r.learnt), r.above.want(r.learnt)
	r.contexts = [...]uint32{
		0, before & 0xff, before & 0xffff, blend(place, above), blend(r.key, r.offset), blend(above, recent), before & 0xf0f0f0,
	}
	for j, v := range r.contexts {
		r.contexts[j] = blend(v, uint32(j)+1)
	}
	r.experts = [experts]expert{
		runContexts:     {recent, recentChances + r.recent.state()},
		runContexts + 1: {above, aboveChances + r.above.state()},
	}
	for j, v := range [runContexts]uint32{
		before, blend(before, uint32(r.before>>32)&0xffff), blend(r.word, before&0xff), blend(place, before&0xff),
	} {
		r.runAt[j] = r.run(blend(v, uint32(j)+101))
		run := r.runs[r.runAt[j]]
		r.experts[j] = expert{run >> 6 % 512, runChances + uint32(j)*64 + run%64}
	}
	if r.clock != "" {
		r.experts[experts-1] = expert{256 | uint32(r.clock[0]), clockChances + r.clockState}
	}
	r.texture = 0
	if r.i > 0 {
		r.texture = texture(byte(before))
	}
}

// texture sorts bytes by what they are in a text. 0 is no byte at all.
func texture(v byte) int {
	switch {
	case v >= '0' && v <= '9':
		return 1
	case v >= 'a' && v <= 'z':
		return 2
	case v >= 'A' && v <= 'Z':
		return 3
	case v >= 128:
		return 4
	case v < 32:
		return 5
	}
	return 6
}

// bit codes bit k of a byte, of which node has the bits above.
func (r *record) bit(node uint32, k int, y bool) bool {
	var x [inputCount]int64
	var slots [slotContexts]uint32
	for j, h := range r.contexts {
		h += node * 0x9e3779b1
		slots[j] = r.slot(h ^ h>>16)
		if h := r.slots[slots[j]] % 256; h != 0 {
			x[j] = int64(logitOf[r.chances[j*256+int(h)]>>20])
		}
	}
	for j := range r.experts {
		if e := &r.experts[j]; e.right(node, k) {
			x[slotContexts+j] = int64(logitOf[r.chances[e.chance]>>20])
			if e.want>>k&1 == 0 {
				x[slotContexts+j] *= -1
			}
		}
	}
	x[inputCount-1] = 256

	a, b, f, g := r.sets(node, k)
	dot := int64(0)
	for j := range x {
		dot += x[j] * (int64(a[j]) + int64(b[j]) + int64(f[j]) + int64(g[j]))
	}
	p := chanceOf[min(max(dot>>16, -2047), 2047)+2048]
	y = r.c.code1(uint32(p), y)

	e := -int64(p)
	bit := uint32(0)
	if y {
		e += 1<<16 - 1
		bit = 1
	}
	e *= 12 + 120*4096/(4096+int64(r.next))
	for j := range x {
		d := int32((x[j]*e + 1<<21) >> 22)
		a[j] += d
		b[j] += d
		f[j] += d
		g[j] += d
	}
	for j, i := range slots {
		h := r.slots[i] % 256
		if h != 0 {
			teach(&r.chances[j*256+int(h)], y)
		}
		r.slots[i] = r.slots[i]&^255 | uint16(historyAfter[h][bit])
	}
	for j := range r.experts {
		if e := &r.experts[j]; e.right(node, k) {
			teach(&r.chances[e.chance], e.want>>k&1 == bit)
		}
	}
	return y
}

// sets returns the weights for bit k.
func (r *record) sets(node uint32, k int) (a, b, f, g *[inputCount]int32) {
	matches := uint32(0)
	if r.experts[runContexts].right(node, k) {
		matches = 1 + min(r.recent.hits/4, 3)
	}
	if r.experts[runContexts+1].right(node, k) {
		matches += 5 + 5*min(r.above.hits/4, 3)
	}
	w := &r.weights
	return &w[matches], &w[textureSets+r.texture*8+k], &w[placeSets+min(r.i, places-1)], &w[nodeSets+node%128]
}

// teach moves a chance towards y.
func teach(chance *uint32, y bool) {
	p, n := *chance>>10, *chance%1024
	if y {
		p += (1<<22 - 1 - p) / (n + 2)
	} else {
		p -= p / (n + 2)
	}
	*chance = p<<10 | min(n+1, patience)
}

// learn takes in the byte that came.
func (r *record) learn(v byte) {
	for _, at := range r.runAt {
		r.runs[at] = runAfter(r.runs[at], v)
	}
	if r.clock != "" {
		switch {
		case r.clock[0] != v:
			r.clockState |= 16
		case r.clockState%16 < 15:
			r.clockState++
		}
		r.clock = r.clock[1:]
	}
	recent, above := r.experts[runContexts].want, r.experts[runContexts+1].want
	r.put(v)
	r.recent.step(recent, v)
	r.above.step(above, v)
	r.align(v)
	r.setClock()
	r.read(v)
	r.i++
}

// put takes a byte into the ring and into before.
func (r *record) put(v byte) {
	r.ring[r.next%ringSize] = v
	r.next++
	r.before = r.before<<8 | uint64(v)
}

// runAfter returns what v makes of a run.
func runAfter(run uint32, v byte) uint32 {
	want := 256 | uint32(v)
	misses, hits := run>>4%4, run%16
	switch run >> 6 % 512 {
	case want:
		hits = min(hits+1, 15)
	case 0:
		hits = 1
	default:
		hits, misses = 1, min(misses+1, 3)
	}
	return run>>15<<15 | want<<6 | misses<<4 | hits
}

// align finds the matches places to go on from, behind v.
func (r *record) align(v byte) {
	here := uint16(r.next%ringSize) + 1
	if r.i >= 4 {
		head := &r.heads[blend(uint32(r.before), uint32(r.before>>32)&0xff)%headCount]
		if at := uint32(*head) - 1; *head != 0 && r.recent.hits < 4 {
			if n := r.alike(at); n >= 4 {
				r.recent = match{on: true, at: at, hits: n}
			}
		}
		*head = here
	}
	switch {
	case r.i == 0:
		r.first = uint32(v) + 1
		if at := r.firsts[v]; at != 0 {
			r.above = match{on: true, at: uint32(at) - 1, hits: 1}
		}
		r.firsts[v] = here
	case r.above.hits < 16 && r.recent.hits >= 6 && bits.OnesCount8(r.above.lately) > 3:
		r.above = r.recent
	}
}

// alike returns how many bytes before a place are those before the next.
func (r *record) alike(at uint32) (n uint32) {
	for n < 32 && int(n) <= r.i && r.ring[(at-1-n)%ringSize] == r.ring[(r.next-1-n)%ringSize] {
		n++
	}
	return n
}

// setClock finds whether a text gives the time of the stamp.
func (r *record) setClock() {
	begin := [...]byte{byte(r.before >> 24), byte(r.before >> 16), byte(r.before >> 8), byte(r.before)}
	for _, t := range r.times {
		if r.clock == "" && len(t) > 4 && t[:4] == string(begin[:]) {
			r.clock, r.clockState = t[4:], 0
		}
	}
}

// read follows the words and keys of a text.
func (r *record) read(v byte) {
	r.offset++
	switch t := texture(v); {
	case t >= 2 && t <= 4:
		r.word = blend(r.word, uint32(v))
	case r.word != 0:
		r.field, r.word = r.word, 0
	}
	switch v {
	case ':', ',', '=', '"', '{', ' ':
		r.key, r.offset = blend(r.field, uint32(v)), 0
	}
}
