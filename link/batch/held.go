package batch

import "skyhaul/bufferstore"

// held says of things that batches carry in full, such as schemas, which ones
// the destination holds for sure, and which are on their way.
type held[K comparable] map[K]mark

type mark struct {
	last bufferstore.Seq // of the first batch that carried it
	sure bool
}

// carry notes that a batch up to last carries k.
func (h held[K]) carry(k K, last bufferstore.Seq) {
	if m, ok := h[k]; !ok || last < m.last {
		h[k] = mark{last: last}
	}
}

// acked makes sure of all that came with batches up to upTo.
func (h held[K]) acked(upTo bufferstore.Seq) {
	for k, m := range h {
		if m.last <= upTo {
			h[k] = mark{m.last, true}
		}
	}
}

// rewind forgets what is on its way in batches that reach first or beyond:
// they are made again, perhaps of other records.
func (h held[K]) rewind(first bufferstore.Seq) {
	for k, m := range h {
		if !m.sure && m.last >= first {
			delete(h, k)
		}
	}
}
