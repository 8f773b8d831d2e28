package model

// A decision is coded with a probability that is mixed from those of its slots
// in several contexts.
const (
	contexts = 6
	ownTo    = 5     // contexts of the column alone; those behind are shared by all
	startOf  = 19660 // of the weights that all columns share
)

// The classes of decisions, each with its own weights.
const (
	classSame   = 0
	classStep   = 1  // to 11
	classRest   = 12 // to 22
	classLeaked = 23
	classes     = 24
)

// weights are in 2^-16.
type weights [classes][contexts]int32

// decision is the context in which decisions are made.
type decision struct {
	context [contexts]uint32
	model   *columnModel
}

// only has the contexts tell nothing but kind.
func (d *decision) only(kind uint32) {
	for i := range d.context {
		d.context[i] = hash(kind, uint32(i))
	}
}

// decide codes decision id of a class. If it is deep, one of many that are seen
// seldom, the first context alone serves.
func (t *Table) decide(c *Coder, id uint32, class int, deep bool, y bool) bool {
	m := t.model
	n := contexts
	if deep {
		n = 1
	}
	// All sets are looked up before any is searched, so that they come from memory together.
	var sets [contexts]*[4]slot
	var checks [contexts]uint8
	id *= 0x2545F491
	for i := range n {
		h := t.context[i] ^ id
		if i < ownTo {
			h += m.salt
		}
		h *= 0x9E3779B1
		h ^= h >> 14
		h *= 0x85EBCA6B
		at := int(h>>8) & (len(t.slots) - 4)
		sets[i] = (*[4]slot)(t.slots[at : at+4])
		checks[i] = uint8(h)
	}
	var slots [contexts]*slot
	var logits [contexts]int32
	own, all := &m.weights[class], &t.weights[class]
	dot := int64(0)
	for i := range n {
		s := t.slot(sets[i], checks[i])
		slots[i] = s
		logits[i] = int32(stretched[s.p>>4]) * slotTrust[s.n] >> 8
		dot += int64(logits[i]) * int64(own[i]+all[i])
	}
	p := int32(squashed[min(max(dot>>16, -2047), 2047)+2048])
	p = min(max(p, 24), 1<<16-24)
	y = c.code1(uint32(p), y)
	target := int32(0)
	if y {
		target = 1<<16 - 1
	}
	shift := m.learning() & 31
	for i := range n {
		step := (logits[i]*(target-p) + 1<<(shift-1)) >> shift
		own[i] += step
		all[i] += step
		s := slots[i]
		s.p += uint16((target - int32(s.p)) * slotRate[s.n] >> 16)
		if s.n < slotSlow {
			s.n++
		}
	}
	return y
}

func hash(a, b uint32) uint32 {
	h := a*0x9E3779B1 ^ b*0x85EBCA6B
	return h ^ h>>15
}

func hash64(a uint32, v int64) uint32 {
	return hash(hash(a, uint32(v)), uint32(uint64(v)>>32))
}
