package bufferstore

import (
	"bytes"
	"errors"
	"io/fs"
	"iter"
	"sort"
)

// Records yields the lane's durable records from number from on, in order and
// without a hole: every number up to the durable end at the beginning of the
// iteration is a record or lies in a gap. A gap never spans two epochs; the
// numbers of epochs that Spans has forgotten come with a zero epoch. Damage
// becomes a gap and reading goes on; an error ends it: the store is closed, or
// its chunks need a codec that it was opened without, or another key: [ErrKey].
// An iteration holds no lock and one segment open.
func (l *Lane) Records(from Seq) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		l.between(max(from, 1), l.Durable(), yield)
	}
}

// between yields what is at first to last.
func (l *Lane) between(first, last Seq, yield func(Record, error) bool) {
	r := reader{lane: l, pos: first, end: last, yield: yield}
	defer r.leave()
	for r.pos <= r.end && r.step() {
	}
}

// reader is an iteration over a lane.
type reader struct {
	lane  *Lane
	pos   Seq // next
	end   Seq
	yield func(Record, error) bool
	in    *reading // nil: in no segment
}

// leave closes the segment.
func (r *reader) leave() {
	if r.in != nil {
		_ = r.in.close() // it was only read
	}
	r.in = nil
}

// step yields what is at pos, up to the end of a chunk, a gap or the head. It
// reports whether to go on.
func (r *reader) step() bool {
	s := r.lane.s
	if s.isClosed() {
		return r.fail(errClosed)
	}
	st := r.lane.current()
	p := st.at(r.pos)
	p.last = min(p.last, r.end)
	switch {
	case p.lost != Kept:
		return r.gap(p.last, p.lost)
	case p.segment == 0:
		return r.head(st, p.last)
	}
	if c, ok := s.cache.at(r.lane.name, r.pos); ok {
		return r.unpacked(c, p)
	}
	if err := r.enter(p.segment); err != nil {
		return r.missing(p, p.last, err)
	}
	return r.chunk(p)
}

// head yields records of the head.
func (r *reader) head(st *state, last Seq) bool {
	for _, k := range st.head[st.find(r.pos):] {
		if k.seq > last {
			break
		}
		if !r.record(k.data) {
			return false
		}
	}
	return true
}

// enter opens a segment, unless it is open.
func (r *reader) enter(number uint64) (err error) {
	if r.in != nil && r.in.number == number {
		return nil
	}
	r.leave()
	l := r.lane
	r.in, err = openReading(l.s.segments(), l.s.engine, l.name, number)
	if err == nil && r.in.damaged {
		l.s.noteDamaged(segmentID{l.name, number})
	}
	return err
}

// chunk yields the records of the chunk at pos, or the gap before the next one.
func (r *reader) chunk(p stretch) bool {
	all := r.in.extents
	i := sort.Search(len(all), func(i int) bool { return all[i].last >= r.pos })
	if i == len(all) {
		return r.missing(p, p.last, errDamaged)
	}
	if all[i].first > r.pos { // a hole between chunks
		return r.missing(p, min(p.last, all[i].first-1), errDamaged)
	}
	last := min(p.last, all[i].last)
	coded, body, err := r.load(i)
	if err != nil {
		return r.missing(p, last, err)
	}
	if r.pos > all[i].first {
		c, err := r.keep(all[i], coded, body)
		if err != nil {
			return r.missing(p, last, err)
		}
		return r.unpacked(c, p)
	}
	more := true
	err = unpack(r.lane.s.options.Codec, coded, body, func(rec []byte) bool {
		more = r.record(rec)
		return more && r.pos <= last
	})
	if !more || r.pos > last {
		return more
	}
	if err == nil {
		err = errDamaged
	}
	return r.missing(p, last, err)
}

// keep unpacks a whole chunk for those who read on behind its beginning: a
// destination that takes a chunk in many parts.
func (r *reader) keep(where extent, coded bool, body []byte) (*unpackedChunk, error) {
	c := &unpackedChunk{lane: r.lane.name, extent: where}
	err := unpack(r.lane.s.options.Codec, coded, body, func(rec []byte) bool {
		c.recs = append(c.recs, bytes.Clone(rec))
		return true
	})
	if err == nil && Seq(len(c.recs)) != where.last-where.first+1 {
		err = errDamaged
	}
	if err != nil {
		return nil, err
	}
	r.lane.s.cache.put(c)
	return c, nil
}

// unpacked yields the records of a chunk from pos on.
func (r *reader) unpacked(c *unpackedChunk, p stretch) bool {
	for last := min(p.last, c.last); r.pos <= last; {
		if !r.record(c.recs[r.pos-c.first]) {
			return false
		}
	}
	return true
}

// load reads a chunk and checks that it is the one that should be there.
func (r *reader) load(i int) (coded bool, body []byte, err error) {
	l, where := r.lane, r.in.extents[i]
	value, err := r.in.get(i)
	if err != nil {
		return false, nil, err
	}
	c, coded, body, err := decodeChunk(l.s.key, l.name, value)
	if err != nil {
		return false, nil, err
	}
	sp, last := spanAt(l.spans, c.first, c.last)
	if c.first != where.first || c.last != where.last || c.epoch != sp.epoch && sp.epoch != (Epoch{}) || c.last > last {
		return false, nil, errDamaged
	}
	return coded, body, nil
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

// missing yields the numbers from pos to last as damaged, if they are: what was
// given up or repaired meanwhile is looked for again.
func (r *reader) missing(p stretch, last Seq, err error) bool {
	if errors.Is(err, errKey) {
		return r.fail(ErrKey)
	}
	if errors.Is(err, errNoCodec) {
		return r.fail(err)
	}
	now := r.lane.settled().at(r.pos)
	now.last = min(now.last, r.end)
	if now != p {
		r.leave()
		return true
	}
	if r.lane.s.looking && errors.Is(err, fs.ErrNotExist) {
		return r.gap(last, Expired) // the store that is looked into has given it up
	}
	if !errors.Is(err, errDamaged) && !faulty(err) {
		return r.fail(err)
	}
	r.lane.s.noteDamaged(segmentID{r.lane.name, p.segment})
	return r.gap(last, Damaged)
}

// settled returns the state of the lane when no change is under way: one that is
// on disk, but that is not published yet, looks like damage.
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
