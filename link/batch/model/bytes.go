package model

import (
	"encoding/binary"
	"reflect"
	"strconv"
	"time"
)

const (
	slotContexts = 7
	runContexts  = 5
	experts      = runContexts + 3 // and two matches and the clock
	inputs       = slotContexts + experts + 1

	slotCount = 1 << 15
	runCount  = 1 << 11
	headCount = 1 << 11
	ringSize  = 1 << 14

	runChances   = slotContexts * 256
	matchChances = runChances + runContexts*64
	clockChances = matchChances + 2*64

	classSets  = 25
	placeSets  = classSets + 7*8
	nodeSets   = placeSets + places
	weightSets = nodeSets + 256

	places      = 60  // that have weights of their own
	patience    = 127 // most that a chance counts, of 1023
	firstWeight = 65536 * 3 / 40
)

var (
	chanceOf    [4096]uint16  // of a logit in 1/256, plus 2048; in 2^-16
	logitOf     [4096]int16   // of a chance in 2^-12
	nextHistory [256][2]uint8 // after a 0, a 1
	firstChance [256]uint32   // that 1 follows a history, as in learnt.chances
)

func init() {
	e := uint64(1 << 30)    // e^(-i/256) in 2^-30
	const step = 4278222847 // e^(-1/256) in 2^-32
	for i := range 2048 {
		chanceOf[2048+i] = uint16(min(1<<46/(1<<30+e), 1<<16-1))
		chanceOf[2048-i] = uint16(1<<16 - 1<<46/(1<<30+e))
		e = e * step >> 32
	}
	x := 1
	for p := range logitOf {
		for x < 4095 && int(chanceOf[x]) < p*16+8 {
			x++
		}
		logitOf[p] = int16(x - 2048)
	}
	for s := range 256 {
		nextHistory[s] = [2]uint8{historyAfter(s, 0), historyAfter(s, 1)}
	}
	for s := range 256 {
		firstChance[s] = chanceAfter(s)
	}
}

// historyAfter returns the history that y makes of s.
func historyAfter(s, y int) uint8 {
	switch longer := s<<1 | y; {
	case s == 0:
		return uint8(2 | y)
	case s < 64:
		return uint8(longer)
	case s < 128 && longer&127 == 127*y:
		return uint8(128 | y<<6)
	case s < 128:
		return uint8(64 | longer&63)
	case s>>6&1 == y:
		return uint8(s&^63 | min(s&63+1, 63))
	}
	return uint8(64 | 62 ^ 63*y)
}

func chanceAfter(s int) uint32 {
	p, n := uint32(1<<21), uint32(0)
	teach := func(y int) {
		if y != 0 {
			p += (1<<22 - 1 - p) * 2 / (2*n + 3)
		} else {
			p -= p * 2 / (2*n + 3)
		}
		n++
	}
	if s >= 128 {
		for range 7 + s&63 {
			teach(s >> 6 & 1)
		}
		return p<<10 | 6
	}
	for i := bitLen(s) - 2; i >= 0; i-- {
		teach(s >> i & 1)
	}
	return p<<10 | 6
}

func bitLen(s int) (n int) {
	for ; s > 0; s >>= 1 {
		n++
	}
	return n
}

// Bytes is the model of records that are no rows.
type Bytes struct{ *learnt }

type learnt struct {
	slots              [slotCount]uint16
	runs               [runCount]uint32
	chances            [clockChances + 32]uint32
	weights            [weightSets][inputs]int32
	ring               [ringSize]byte
	next               uint32
	heads              [headCount]uint16
	firsts             [256]uint16
	size, later, drift Number
	timed              [8]Bit
	last               [8]stamp
}

type stamp struct{ boot, wall uint64 }

func NewBytes() *Bytes { return new(Bytes) }

func newLearnt() *learnt {
	l := new(learnt)
	for i := range runChances {
		l.chances[i] = firstChance[i&255]
	}
	for i := runChances; i < len(l.chances); i++ {
		hits, misses := uint32(i&15), uint32(i>>4&3)
		l.chances[i] = (1<<22-1-1<<22/(2*hits+2*misses+3))<<10 | 1
	}
	for i := range l.weights {
		for j := range inputs {
			l.weights[i][j] = firstWeight
		}
	}
	return l
}

func teach(e *uint32, y bool) {
	p, n := *e>>10, *e&1023
	if y {
		p += (1<<22 - 1 - p) / (n + 2)
	} else {
		p -= p / (n + 2)
	}
	*e = p<<10 | min(n+1, max(n, patience))
}

func blend(a, b uint32) uint32 {
	h := a*0x9E3779B1 ^ b*0x85EBCA77
	h ^= h >> 15
	h *= 0x2C1B3C6D
	return h ^ h>>13
}

type match struct {
	at                   uint32 // in the ring
	on                   bool
	hits, misses, lately uint32
}

func (m *match) step(want uint32, v byte) {
	switch {
	case !m.on:
		return
	case byte(want) == v:
		m.hits++
		m.lately <<= 1
	default:
		m.hits = 0
		m.misses++
		m.lately = m.lately<<1 | 1
	}
	m.at++
}

func (m *match) chance() uint32 { return min(m.hits, 15) | min(m.misses, 3)<<4 }

type expert struct {
	want   uint32 // 256 | byte; 0: none
	chance uint32
}

type record struct {
	*learnt
	c                        *Coder
	first                    uint32
	i                        int
	last8                    uint64
	word, field, key, offset uint32
	recent, above            match
	clock                    string
	clockHits                uint32
	times                    [2]string
	contexts                 [slotContexts]uint32
	experts                  [experts]expert
	runAt                    [runContexts]uint32
	sets                     [4]*[inputs]int32
	class                    uint32
}

// Code codes a record and returns it; when reading it is a new slice. ok is
// false if a reader finds a record of more than limit bytes, or the end of the
// stream before that of the record; then neither c nor m is of further use.
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
		if c.decoding {
			if c.Bad() {
				return nil, false
			}
			b = append(b, r.byte(0))
		} else {
			r.byte(b[r.i])
		}
		if stamped == 0 && r.i > 3 && b[r.i-1] < 128 {
			stamped = r.i
			b = r.stamp(b, int(n))
		}
	}
	if s, fits := stampIn(b[stamped:]); fits && stamped > 0 {
		m.last[b[0]&7] = s
	}
	return b, true
}

// stamp codes the two times of a stamp that may follow, and takes them into the
// record of n bytes.
func (r *record) stamp(b []byte, n int) []byte {
	last := r.last[b[0]&7]
	var s stamp
	fits := false
	if !r.c.decoding {
		s, fits = stampIn(b[r.i:])
	}
	passed := s.boot - last.boot
	drift := s.wall - last.wall - passed
	if !r.c.Bit(&r.timed[b[0]&7], fits && passed < 1<<40 && drift+1<<20 < 1<<21 && s.wall>>40 != 0) {
		return b
	}
	passed = r.later.Code(r.c, passed)
	drift = r.drift.Code(r.c, drift<<1^-(drift>>63))
	s.boot = last.boot + passed
	s.wall = last.wall + passed + (drift>>1 ^ -(drift & 1))
	text := binary.AppendVarint(binary.AppendUvarint(nil, s.boot), int64(s.wall))
	text = text[:min(len(text), n-r.i)]
	for _, v := range text {
		r.put(v)
	}
	if r.c.decoding {
		b = append(b, text...)
	}
	r.i += len(text)
	r.skipStamp()
	r.clocks(s.wall)
	return b
}

// clocks sets the texts in which the record may give the time of its stamp.
func (r *record) clocks(wall uint64) {
	r.times[0] = strconv.FormatUint(wall, 10)
	if wall < 253402300800000 { // the year 10,000
		r.times[1] = time.UnixMilli(int64(wall)).UTC().Format("2006-01-02T15:04:05.000")
	}
}

func stampIn(b []byte) (s stamp, ok bool) {
	boot, i := binary.Uvarint(b)
	if i <= 0 || i > 1 && b[i-1] == 0 {
		return s, false
	}
	wall, j := binary.Varint(b[i:])
	return stamp{boot, uint64(wall)}, j > 0 && (j == 1 || b[i+j-1] != 0)
}

func (r *record) skipStamp() {
	if !r.above.on {
		return
	}
	for range 2 {
		for k := 0; k < 10 && r.ring[r.above.at%ringSize] >= 128; k++ {
			r.above.at++
		}
		r.above.at++
	}
}

func (r *record) put(v byte) {
	r.ring[r.next%ringSize] = v
	r.next++
	r.last8 = r.last8<<8 | uint64(v)
}

func (r *record) byte(v byte) byte {
	r.prepare()
	node := uint32(1)
	for k := 7; k >= 0; k-- {
		node <<= 1
		if r.bit(node>>1, k, v>>k&1 != 0) {
			node |= 1
		}
	}
	v = byte(node)
	r.finish(v)
	return v
}

func (m *match) want(l *learnt) uint32 {
	if !m.on {
		return 0
	}
	return 256 | uint32(l.ring[m.at%ringSize])
}

func (r *record) prepare() {
	c4 := uint32(r.last8)
	above := r.above.want(r.learnt)
	place := r.first<<16 | uint32(min(r.i, 255))
	r.contexts = [slotContexts]uint32{
		0,
		c4 & 0xff,
		c4 & 0xffff,
		blend(place, above),
		blend(r.key, r.offset),
		blend(above<<8|uint32(r.ring[(r.above.at+1)%ringSize]), c4&0xff),
		c4 & 0xff00,
	}
	for j := range r.contexts {
		r.contexts[j] = blend(r.contexts[j], uint32(j)+1)
	}
	runs := [runContexts]uint32{
		c4 & 0xffffff,
		blend(c4, uint32(r.last8>>32)&0xff),
		blend(r.word, c4&0xff),
		blend(r.contexts[4], above),
		blend(place, c4&0xffff),
	}
	for j, h := range runs {
		at := r.run(blend(h, uint32(j)+101))
		r.runAt[j] = at
		run := r.runs[at]
		r.experts[j] = expert{run >> 6 & 511, runChances + uint32(j)*64 + run&63}
	}
	r.experts[runContexts] = expert{r.recent.want(r.learnt), matchChances + r.recent.chance()}
	r.experts[runContexts+1] = expert{above, matchChances + 64 + r.above.chance()}
	r.experts[runContexts+2] = expert{}
	if r.clock != "" {
		r.experts[runContexts+2] = expert{256 | uint32(r.clock[0]), clockChances + r.clockHits}
	}
	r.class = texture(r.i, byte(c4))
	r.sets[2] = &r.weights[placeSets+min(r.i, places-1)]
}

// class sorts the byte before by what it is in a text.
func texture(i int, v byte) uint32 {
	switch {
	case i == 0:
		return 0
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

func (r *record) bit(node uint32, k int, y bool) bool {
	var x [inputs]int32
	var at [slotContexts]uint32
	for j, h := range r.contexts {
		h += node * 0x9E3779B1
		at[j] = r.slot(h ^ h>>16)
		if s := r.slots[at[j]] & 255; s != 0 {
			x[j] = int32(logitOf[r.chances[j*256+int(s)]>>20])
		}
	}
	for j, e := range r.experts {
		if e.want>>(k+1) == node {
			z := int32(logitOf[r.chances[e.chance]>>20])
			if e.want>>k&1 == 0 {
				z = -z
			}
			x[slotContexts+j] = z
		}
	}
	x[inputs-1] = 128
	set := 0
	if r.experts[runContexts].want>>(k+1) == node {
		set = 1 + int(min(r.recent.hits/4, 3))
	}
	if r.experts[runContexts+1].want>>(k+1) == node {
		set += 5 + 5*int(min(r.above.hits/4, 3))
	}
	r.sets[0] = &r.weights[set]
	r.sets[1] = &r.weights[classSets+r.class*8+uint32(k)]
	r.sets[3] = &r.weights[nodeSets+node]
	dot := int64(0)
	for j := range x {
		w := int64(r.sets[0][j]) + int64(r.sets[1][j]) + int64(r.sets[2][j]) + int64(r.sets[3][j])
		dot += int64(x[j]) * w
	}
	p := uint32(chanceOf[min(max(dot>>16, -2047), 2047)+2048])
	y = r.c.code1(p, y)
	err := -int64(p)
	bit := 0
	if y {
		bit = 1
		err += 1<<16 - 1
	}
	err *= 2 + 10*4096/(4096+int64(r.next))
	for j := range x {
		d := int32((int64(x[j])*err + 1<<17) >> 18)
		r.sets[0][j] += d
		r.sets[1][j] += d
		r.sets[2][j] += d
		r.sets[3][j] += d
	}
	for j, i := range at {
		s := r.slots[i] & 255
		if s != 0 {
			teach(&r.chances[j*256+int(s)], y)
		}
		r.slots[i] = r.slots[i]&^255 | uint16(nextHistory[s][bit])
	}
	for _, e := range r.experts {
		if e.want>>(k+1) == node {
			teach(&r.chances[e.chance], e.want>>k&1 == uint32(bit))
		}
	}
	return y
}

func (l *learnt) slot(h uint32) uint32 {
	i, check := h%slotCount, uint16(h>>24)
	if l.slots[i]>>8 == check {
		return i
	}
	j := i ^ 1
	if l.slots[j]>>8 == check {
		return j
	}
	if seen(l.slots[j]) < seen(l.slots[i]) {
		i = j
	}
	l.slots[i] = check << 8
	return i
}

// weight
func seen(slot uint16) int {
	if slot>>7&1 != 0 {
		return 8
	}
	return bitLen(int(slot & 127))
}

// run: check 17 | want 9 | misses 2 | hits 4
func (l *learnt) run(h uint32) uint32 {
	i, check := h%runCount, h>>15
	if l.runs[i]>>15 == check {
		return i
	}
	j := i ^ 1
	if l.runs[j]>>15 == check {
		return j
	}
	if l.runs[j]&15 < l.runs[i]&15 {
		i = j
	}
	l.runs[i] = check << 15
	return i
}

func (r *record) finish(v byte) {
	if r.i == 0 {
		r.first = uint32(v) + 1
	}
	want := r.above.want(r.learnt)
	wantRecent := r.recent.want(r.learnt)
	for _, at := range r.runAt {
		run := &r.runs[at]
		state := *run & 63
		switch {
		case *run>>6&511 == 256|uint32(v):
			state = state&^15 | min(state&15+1, 15)
		case *run>>14&1 == 0:
			state = 1
		default:
			state = min(state>>4+1, 3)<<4 | 1
		}
		*run = *run>>15<<15 | (256|uint32(v))<<6 | state
	}
	if r.clock != "" {
		if r.clock[0] != v {
			r.clockHits |= 16
		} else if r.clockHits&15 < 15 {
			r.clockHits++
		}
		r.clock = r.clock[1:]
	}
	r.put(v)
	r.recent.step(wantRecent, v)
	r.above.step(want, v)
	c4 := uint32(r.last8)
	if r.i >= 4 {
		head := &r.heads[blend(c4, uint32(r.last8>>32)&0xff)%headCount]
		if !r.recent.on || r.recent.hits < 4 {
			if *head > 0 {
				if n := r.alike(uint32(*head) - 1); n >= 4 {
					r.recent = match{at: uint32(*head) - 1, on: true, hits: n}
				}
			}
		}
		*head = uint16(r.next%ringSize) + 1
	}
	if r.i == 0 {
		if f := r.firsts[v]; f > 0 {
			r.above = match{at: uint32(f) - 1, on: true, hits: 1}
		}
		r.firsts[v] = uint16(r.next%ringSize) + 1
	} else if r.above.hits < 16 && r.recent.hits >= 6 && lost(r.above.lately) {
		r.above = r.recent
	}
	if r.clock == "" {
		for _, t := range r.times {
			if len(t) > 4 && t[0] == byte(c4>>24) && t[1] == byte(c4>>16) && t[2] == byte(c4>>8) && t[3] == byte(c4) {
				r.clock, r.clockHits = t[4:], 0
			}
		}
	}
	letter := v >= 'a' && v <= 'z' || v >= 'A' && v <= 'Z' || v >= 128
	if letter {
		r.word = blend(r.word, uint32(v))
	} else {
		if r.word != 0 {
			r.field = r.word
		}
		r.word = 0
	}
	r.offset++
	switch v {
	case ':', ',', '=', '"', '{', ' ':
		r.key = blend(r.field, uint32(v))
		r.offset = 0
	}
	r.i++
}

func lost(lately uint32) bool {
	n := 0
	for i := range 8 {
		n += int(lately >> i & 1)
	}
	return n > 3
}

func (r *record) alike(at uint32) (n uint32) {
	for n < 32 && n <= uint32(r.i) && r.ring[(at-1-n)%ringSize] == r.ring[(r.next-1-n)%ringSize] {
		n++
	}
	return n
}

func (m *Bytes) Clone() *Bytes {
	n := *m
	if m.learnt != nil {
		l := *m.learnt
		n.learnt = &l
	}
	return &n
}

func (m *Bytes) Size() int {
	if m.learnt == nil {
		return 8
	}
	return int(reflect.TypeFor[learnt]().Size())
}

// walk passes every number of l to f, with its size in bytes, and puts what
// comes back in its place.
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
	bit := func(b *Bit) {
		b.p, b.n = uint16(f(uint64(b.p), 2)), uint8(f(uint64(b.n), 1))
	}
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

// image returns the numbers of l, little endian.
func (l *learnt) image() (b []byte) {
	b = make([]byte, 0, 1<<17)
	l.walk(func(v uint64, size int) uint64 {
		for i := range size {
			b = append(b, byte(v>>(8*i)))
		}
		return v
	})
	return b
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
		same := i
		for i < len(b) && b[i] == fresh[i] {
			i++
		}
		dst = binary.AppendUvarint(dst, uint64(i-same))
		other := i
		// A short stretch that is the same would cost more than it saves.
		for i < len(b) && (b[i] != fresh[i] || i+3 <= len(b) && string(b[i:i+3]) != string(fresh[i:i+3])) {
			i++
		}
		dst = append(binary.AppendUvarint(dst, uint64(i-other)), b[other:i]...)
	}
	return dst
}

// ParseBytes reads a snapshot and returns what follows it. The model goes on
// exactly as the one of which the snapshot was made.
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
	for i := 0; i < len(image); {
		same, k := binary.Uvarint(b)
		other, n := binary.Uvarint(b[max(k, 0):])
		left := uint64(len(image) - i)
		if k <= 0 || n <= 0 || same > left || other > left-same || same+other == 0 || other > uint64(len(b)-k-n) {
			return nil, nil, errSnapshot
		}
		i += int(same)
		b = b[k+n:]
		i += copy(image[i:], b[:other])
		b = b[other:]
	}
	m.walk(func(_ uint64, size int) (v uint64) {
		for i := range size {
			v |= uint64(image[i]) << (8 * i)
		}
		image = image[size:]
		return v
	})
	return m, b, nil
}
