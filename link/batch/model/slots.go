package model

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

// slot returns the slot of a hash, which may be an empty one: that of the least
// seen of the set.
func (t *Table) slot(h uint32) *slot {
	at := int(h>>8) & (len(t.slots) - 4)
	set := t.slots[at : at+4 : at+4]
	least := 0
	for i := range set {
		if set[i].check == uint8(h) && set[i].n > 0 {
			return &set[i]
		}
		if set[i].n < set[least].n {
			least = i
		}
	}
	if set[least].n > 0 {
		t.evicted++
		for i := range set {
			// So that what was once seen often doesn't stay for ever.
			if set[i].n > 3 {
				set[i].n -= set[i].n >> 2
			}
		}
	}
	set[least] = slot{p: 1 << 15, check: uint8(h)}
	return &set[least]
}

// firstSlots returns how many slots there are once there is a model.
func (t *Table) firstSlots() int { return 1 << min(t.slotBits, 12) }

// grow doubles the slots if so many were evicted that there are too few of them.
func (t *Table) grow() {
	if t.evicted > len(t.slots) && len(t.slots)*2 <= t.modelled<<t.slotBits {
		t.slots = append(t.slots, t.slots...)
		t.evicted = 0
	}
}
