package bufferstore

import "iter"

// Records yields the lane's durable records from number from on, in order and
// without a hole: every number up to the durable end at the beginning of the
// iteration is a record or lies in a gap. A gap never spans two epochs; the
// numbers of epochs that Spans has forgotten come with a zero epoch. Damage
// becomes a gap and reading goes on; an error ends it: the store is closed or
// recovering from a failed write. Records hold no lock and one chunk of memory.
func (l *Lane) Records(from Seq) iter.Seq2[Record, error] { return nil }

// Spans returns what each epoch appended to the lane, oldest first: all whose
// numbers may still be asked for, and at least the last 64 that appended anything.
func (l *Lane) Spans() []Span { return nil }
