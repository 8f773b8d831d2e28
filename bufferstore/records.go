package bufferstore

import (
	"errors"
	"iter"
	"sort"
)

var errNoCodec = errors.New("chunk is packed and the store was opened without a codec")

// Records yields the lane's durable records from number from on, in order and
// without a hole: every number up to the durable end at the beginning of the
// iteration is a record or lies in a gap. A gap never spans two epochs; the
// numbers of epochs that Spans has forgotten come with a zero epoch. Damage
// becomes a gap and reading goes on; an error ends it: the store is closed, or
// recovering from a failed write. An iteration holds no lock and one chunk in
// memory.
func (l *Lane) Records(from Seq) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r := reader{lane: l, pos: max(from, 1), end: l.Durable(), yield: yield}
		for r.pos <= r.end && r.step() {
		}
	}
}

// reader is an iteration over a lane.
type reader struct {
	lane    *Lane
	pos     Seq // next
	end     Seq
	yield   func(Record, error) bool
	segment uint32 // whose chunks are known
	chunks  []extent
}

// step yields what is at pos, up to the end of a chunk or a gap. It reports
// whether to go on.
func (r *reader) step() bool {
	p := r.lane.current().at(r.pos)
	p.last = min(p.last, r.end)
	if p.lost != Kept {
		return r.gap(p.last, p.lost)
	}
	where, key, err := r.locate(p)
	if err != nil {
		return r.damaged(p, p.last, err)
	}
	if where.first > r.pos { // a hole between chunks
		return r.damaged(p, min(p.last, where.first-1), errDamaged)
	}
	last := min(p.last, where.last)
	form, body, err := r.load(key, where)
	if err != nil {
		return r.damaged(p, last, err)
	}
	next, more := where.first, true
	err = r.lane.s.unpack(form, body, func(rec []byte) bool {
		if next >= r.pos && next <= last {
			more = r.record(rec)
		}
		next++
		return more && next <= last
	})
	if !more || r.pos > last {
		return more
	}
	if errors.Is(err, errNoCodec) {
		return r.fail(err)
	}
	return r.damaged(p, last, errDamaged)
}

// locate returns the chunk of p at pos, or the next one behind a hole, and its key.
func (r *reader) locate(p place) (extent, []byte, error) {
	l := r.lane
	if p.segment == 0 {
		return p.small, seqKey(keyHead, l.name, p.small.first), nil
	}
	if r.segment != p.segment || r.chunks[len(r.chunks)-1].last < r.pos {
		chunks, err := l.s.chunks(l, p.segment)
		if err != nil {
			return extent{}, nil, err
		}
		r.segment, r.chunks = p.segment, chunks
	}
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].last >= r.pos })
	if i == len(r.chunks) {
		return extent{}, nil, errDamaged
	}
	return r.chunks[i], sealedKey(l.name, p.segment, r.chunks[i].first), nil
}

// load reads a chunk and checks that it is the one that should be there.
func (r *reader) load(key []byte, where extent) (form byte, body []byte, err error) {
	l := r.lane
	value, err := l.s.get(key)
	if err != nil {
		return 0, nil, damage(err)
	}
	c, form, body, err := decodeChunk(l.name, value)
	if err != nil {
		return 0, nil, err
	}
	sp, last := spanAt(l.spans, c.first, c.last)
	if c.first != where.first || c.last != where.last || c.epoch != sp.epoch || c.last > last {
		return 0, nil, errDamaged
	}
	return form, body, nil
}

// record yields the record at pos.
func (r *reader) record(data []byte) bool {
	sp, _ := spanAt(r.lane.spans, r.pos, r.end)
	rec := Record{Epoch: sp.epoch, First: r.pos, Last: r.pos, Data: data}
	r.pos++
	return r.yield(rec, nil)
}

// gap yields the numbers from pos to last as lost, epoch by epoch.
func (r *reader) gap(last Seq, why Reason) bool {
	last = min(last, r.end)
	for r.pos <= last {
		sp, end := spanAt(r.lane.spans, r.pos, last)
		rec := Record{Epoch: sp.epoch, First: r.pos, Last: min(end, last), Lost: why}
		r.pos = rec.Last + 1
		if !r.yield(rec, nil) {
			return false
		}
	}
	return true
}

// damaged yields the numbers from pos to last as damaged, if they are: what
// was sealed or given up meanwhile is looked for again, and while a failed write
// is being mended nothing is called lost.
func (r *reader) damaged(p place, last Seq, err error) bool {
	if !errors.Is(err, errDamaged) {
		return r.fail(errAway)
	}
	now := r.lane.settled().at(r.pos)
	if r.lane.s.suspects() {
		return r.fail(errAway)
	}
	now.last = min(now.last, r.end)
	if now != p {
		return true
	}
	return r.gap(last, Damaged)
}

// settled returns the state of the lane when no change is under way: one that
// the engine has, but that is not published yet, looks like damage.
func (l *Lane) settled() *state {
	l.s.writer.Lock()
	defer l.s.writer.Unlock()
	return l.current()
}

// fail ends the iteration with an error.
func (r *reader) fail(err error) bool {
	r.yield(Record{}, err)
	return false
}

// suspects reports whether what can't be read may be there all the same.
func (s *Store) suspects() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspect
}
