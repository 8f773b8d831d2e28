package model

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"time"
)

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
			x[j] = int64(stretched[r.chances[j*256+int(h)]>>20])
		}
	}
	for j := range r.experts {
		if e := &r.experts[j]; e.right(node, k) {
			x[slotContexts+j] = int64(stretched[r.chances[e.chance]>>20])
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
	p := squashed[min(max(dot>>16, -2047), 2047)+2048]
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
