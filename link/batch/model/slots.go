package model

import "slices"

// slot is the probability of one decision in one context.
type slot struct {
	p     uint16 // that it is 1
	n     uint8  // times seen, up to slotSlow; 0 is an empty slot
	check uint8  // of the hash
}

// slotSlow bounds how slowly a slot learns: it moves by one part in slotSlow+1.5.
const slotSlow = 120

// The parts in 2^16 by which a slot moves, and in 2^8 by which its logit
// counts, from the times that it was seen.
var slotRate, slotTrust = func() (rate [slotSlow + 1]int32, trust [slotSlow + 1]int32) {
	for i := range rate {
		rate[i] = int32(1 << 17 / (2*i + 3))
		n := min(i, 15)
		trust[i] = int32(512 * n / (2*n + 1))
	}
	return rate, trust
}()

// slot returns the slot of a set with the given check, which may be an empty
// one: that of the least seen.
func (t *Table) slot(set *[4]slot, check uint8) *slot {
	switch {
	case set[0].check == check && set[0].n > 0:
		return &set[0]
	case set[1].check == check && set[1].n > 0:
		return &set[1]
	case set[2].check == check && set[2].n > 0:
		return &set[2]
	case set[3].check == check && set[3].n > 0:
		return &set[3]
	}
	return t.claim(set, check)
}

// claim gives up the slot of the set that was least seen.
func (t *Table) claim(set *[4]slot, check uint8) *slot {
	n0, n1, n2, n3 := uint32(set[0].n), uint32(set[1].n), uint32(set[2].n), uint32(set[3].n)
	least := min(n0<<2, n1<<2|1, n2<<2|2, n3<<2|3)
	if least>>2 > 0 {
		t.evicted++
		// So that what was once seen often doesn't stay for ever.
		set[0].n = uint8(n0 - n0>>2)
		set[1].n = uint8(n1 - n1>>2)
		set[2].n = uint8(n2 - n2>>2)
		set[3].n = uint8(n3 - n3>>2)
	}
	s := &set[least&3]
	*s = slot{p: 1 << 15, check: check}
	return s
}

// firstSlots returns how many slots there are once there is a model.
func (t *Table) firstSlots() int { return 1 << min(t.slotBits, 12) }

// grow doubles the slots if so many were evicted that there are too few of them.
func (t *Table) grow() {
	if t.evicted > len(t.slots) && len(t.slots)*2 <= t.modelled<<t.slotBits {
		t.slots = slices.Concat(t.slots, t.slots) // append would leave room for more
		t.evicted = 0
	}
}
