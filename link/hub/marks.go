package hub

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// ErrNoOpening is wrapped by the error for a batch of an epoch that can't be
// placed, because the batch that said where it begins is not here. The site is
// asked for a fresh start.
var ErrNoOpening = errors.New("opening is not known")

// ErrRefused is wrapped by the error for a batch that contradicts itself or
// the marks. It will never be stored and must not hold up the others.
var ErrRefused = errors.New("refused")

// Marks is what a sink holds of one site. Slices that a sink has handed out are
// not changed any more.
type Marks struct {
	At     int64 // Unix milliseconds at the hub, strictly rising for each change
	Epochs []EpochMarks
}

// EpochMarks is what a sink holds of one epoch in one lane. Marks list them in
// the order in which the sink met them. Those of the zero epoch say by Fresh
// alone that the site is to start afresh in whichever epoch it is.
type EpochMarks struct {
	Lane   point.Lane
	Epoch  bufferstore.Epoch
	Parent bufferstore.Epoch // see batch.Opening
	First  bufferstore.Seq   // see batch.Opening; zero as long as the opening is not known
	Floor  bufferstore.Seq   // everything from First to Floor is stored or declared lost; begins at First-1
	Stored []batch.Range     // stored or declared lost above Floor: rising, apart from each other and from Floor
	Acked  bufferstore.Seq   // the site's own mark: the greatest that a batch of this epoch came with
	Fresh  bool              // the site is to start afresh, see batch.LaneAck
}

// Has reports whether seq is stored or declared lost in this epoch.
func (e *EpochMarks) Has(seq bufferstore.Seq) bool {
	if seq <= e.Floor {
		return e.First > 0 && seq >= e.First
	}
	i := sort.Search(len(e.Stored), func(i int) bool { return e.Stored[i].Last >= seq })
	return i < len(e.Stored) && e.Stored[i].First <= seq
}

// Add takes the numbers from first to last in; first is at least First. The
// slice that Stored was before stays as it is.
func (e *EpochMarks) Add(first, last bufferstore.Seq) {
	from := sort.Search(len(e.Stored), func(i int) bool { return e.Stored[i].Last >= first-1 })
	to := from
	for ; to < len(e.Stored) && e.Stored[to].First-1 <= last; to++ {
		first = min(first, e.Stored[to].First)
		last = max(last, e.Stored[to].Last)
	}
	if first-1 <= e.Floor {
		e.Floor = max(e.Floor, last)
		e.Stored = e.Stored[to:]
		return
	}
	e.Stored = slices.Concat(e.Stored[:from], []batch.Range{{First: first, Last: last}}, e.Stored[to:])
}

// Missing returns what of the numbers from first to last is neither stored nor
// declared lost; first is at least First.
func (e *EpochMarks) Missing(first, last bufferstore.Seq) []batch.Range {
	var missing []batch.Range
	next := max(first, e.Floor+1)
	for _, r := range e.Stored {
		if r.First > last {
			break
		}
		if r.First > next {
			missing = append(missing, batch.Range{First: next, Last: r.First - 1})
		}
		next = max(next, r.Last+1)
	}
	if next <= last {
		missing = append(missing, batch.Range{First: next, Last: last})
	}
	return missing
}

// Place returns the marks of a batch's epoch, made anew where they are not
// there, with what the header says taken over. The batch's numbers are still to
// be added. A batch with its opening also ends Fresh in the marks of the lane's
// zero epoch. The error wraps [ErrNoOpening] or [ErrRefused].
func (m *Marks) Place(b *batch.Batch) (*EpochMarks, error) {
	if !dense(b) || b.Epoch == (bufferstore.Epoch{}) || b.Acked > math.MaxInt64 {
		return nil, fmt.Errorf("batch of %d to %d in epoch %s: %w", b.First, b.Last, b.Epoch, ErrRefused)
	}
	e := m.find(b.Lane, b.Epoch)
	if e.First == 0 {
		if b.Opening == nil {
			return nil, fmt.Errorf("epoch %s in lane %s: %w", b.Epoch, b.Lane, ErrNoOpening)
		}
		if o := b.Opening; o.First < 1 || o.Parent == b.Epoch || (o.First == 1 && o.Parent != bufferstore.Epoch{}) {
			return nil, fmt.Errorf("epoch %s opens at %d after %s: %w", b.Epoch, o.First, o.Parent, ErrRefused)
		}
		e.Parent, e.First, e.Floor = b.Opening.Parent, b.Opening.First, b.Opening.First-1
	}
	if b.First < e.First {
		return nil, fmt.Errorf("batch from %d in epoch %s, which begins at %d: %w", b.First, b.Epoch, e.First, ErrRefused)
	}
	e.Acked = max(e.Acked, b.Acked)
	if b.Opening != nil {
		e.Fresh = false
		if i := m.index(b.Lane, bufferstore.Epoch{}); i >= 0 {
			m.Epochs[i].Fresh = false
		}
	}
	return e, nil
}

// dense reports whether the records of b are all the numbers that it claims:
// what the marks take in must have been there.
func dense(b *batch.Batch) bool {
	next := b.First
	for _, r := range b.Records {
		if r.First != next || r.Last < r.First || (r.Lost == bufferstore.Kept && r.Last > r.First) || r.Last >= math.MaxInt64 {
			return false
		}
		next = r.Last + 1
	}
	return b.First > 0 && len(b.Records) > 0 && next == b.Last+1
}

// AskFresh notes that the site is to start the epoch afresh; the zero epoch where
// nobody can tell which one it is in.
func (m *Marks) AskFresh(lane point.Lane, epoch bufferstore.Epoch) *EpochMarks {
	e := m.find(lane, epoch)
	e.Fresh = true
	return e
}

// find returns the marks of an epoch, new ones where there are none, in a copy
// of Epochs: those handed out before stay as they are.
func (m *Marks) find(lane point.Lane, epoch bufferstore.Epoch) *EpochMarks {
	m.Epochs = slices.Clone(m.Epochs)
	i := m.index(lane, epoch)
	if i < 0 {
		i = len(m.Epochs)
		m.Epochs = append(m.Epochs, EpochMarks{Lane: lane, Epoch: epoch})
	}
	return &m.Epochs[i]
}

// index returns the place of an epoch, -1 for none.
func (m *Marks) index(lane point.Lane, epoch bufferstore.Epoch) int {
	return slices.IndexFunc(m.Epochs, func(e EpochMarks) bool { return e.Lane == lane && e.Epoch == epoch })
}
