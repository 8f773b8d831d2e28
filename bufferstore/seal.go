package bufferstore

import (
	"bytes"
	"errors"
	"slices"
	"time"
)

const (
	sealAge       = time.Minute // small chunks wait no longer
	segmentChunks = 512
	segmentBytes  = 32 << 20
)

// seal packs the oldest small chunks of l into one sealed chunk, in one
// transaction with their removal, if there are enough of them or they are old
// enough. A damaged one becomes a gap. It reports whether it did anything.
func (s *Store) seal(l *Lane) (bool, error) {
	if !s.due(l) {
		return false, nil
	}
	t := s.begin()
	st := t.lane(l)
	small, recs, err := s.gather(l, st.head)
	if err != nil {
		return false, err
	}
	for _, c := range small {
		t.ops = append(t.ops, op{key: seqKey(keyHead, l.name, c.first)})
		st.bytes -= c.bytes
	}
	st.head = st.head[len(small):]
	if len(recs) == 0 {
		st.gaps = declare(st.gaps, small[0].first, small[0].last, Damaged)
	} else if err := t.addSealed(l, small, recs); err != nil {
		return false, err
	}
	return true, t.commit(reserve)
}

func (s *Store) due(l *Lane) bool {
	var size int64
	head := l.current().head
	for _, c := range head {
		size += c.bytes
	}
	return len(head) > 0 && (size >= chunkBytes || s.age()-head[0].age >= sealAge)
}

// gather reads as many small chunks as make a sealed one: of one epoch,
// without a hole between them. If the first is damaged it returns that alone
// and no records.
func (s *Store) gather(l *Lane, head []chunk) (small []chunk, recs []Record, err error) {
	var size int64
	for i, c := range head {
		if i > 0 && (c.epoch != head[0].epoch || c.first != head[i-1].last+1 || size+c.bytes > chunkBytes) {
			break
		}
		more, err := s.records(l, c)
		switch {
		case errors.Is(err, errDamaged) && i == 0:
			return head[:1], nil, nil
		case errors.Is(err, errDamaged):
			return small, recs, nil
		case err != nil:
			return nil, nil, err
		}
		small, recs, size = append(small, c), append(recs, more...), size+c.bytes
	}
	return small, recs, nil
}

// records reads a small chunk.
func (s *Store) records(l *Lane, c chunk) (recs []Record, err error) {
	value, err := s.get(seqKey(keyHead, l.name, c.first))
	if err != nil {
		return nil, damage(err)
	}
	got, form, body, err := decodeChunk(l.name, value)
	if err != nil || got != c {
		return nil, errDamaged
	}
	next := c.first
	err = s.unpack(form, body, func(rec []byte) bool {
		recs = append(recs, Record{Epoch: c.epoch, First: next, Last: next, Data: rec})
		next++
		return true
	})
	if err != nil || next != c.last+1 {
		return nil, errDamaged
	}
	return recs, nil
}

// damage takes an absent value for a damaged one.
func damage(err error) error {
	if errors.Is(err, errAway) {
		return err
	}
	return errDamaged
}

// addSealed adds a sealed chunk of recs, which small held, to the lane's
// newest segment.
func (t *tx) addSealed(l *Lane, small []chunk, recs []Record) error {
	last := small[len(small)-1]
	c := chunk{epoch: last.epoch, first: small[0].first, last: last.last, age: last.age}
	form, body := t.s.pack(recs)
	value := encodeChunk(l.name, c, form, body)
	c.bytes = int64(len(value))

	g, chunks, err := t.newest(l)
	if err != nil {
		return err
	}
	chunks = append(chunks, extent{c.first, c.last})
	g = newSegment(g.number, c.age, g.bytes+c.bytes, chunks)
	st := t.lane(l)
	st.bytes += c.bytes
	st.segments = slices.Clone(st.segments)
	if n := len(st.segments); n > 0 && st.segments[n-1].number == g.number {
		st.segments[n-1] = g
	} else {
		st.segments = append(st.segments, g)
	}
	t.ops = append(t.ops, op{sealedKey(l.name, g.number, c.first), value},
		put(segmentKey(keySegment, l.name, g.number), encodeSegment(g.age, g.bytes, chunks)))
	return nil
}

// newest returns the segment that takes the next chunk, with its chunks.
func (t *tx) newest(l *Lane) (segment, []extent, error) {
	st := t.lane(l)
	if n := len(st.segments); n > 0 {
		g := st.segments[n-1]
		if g.chunks < segmentChunks && g.bytes < min(segmentBytes, t.s.budget()/16) {
			chunks, err := t.s.chunks(l, g.number)
			if !errors.Is(err, errDamaged) {
				return g, chunks, err
			}
		}
	}
	st.next++
	return segment{number: st.next - 1}, nil, nil
}

// chunks reads where the chunks of a segment lie.
func (s *Store) chunks(l *Lane, segment uint32) ([]extent, error) {
	key := segmentKey(keySegment, l.name, segment)
	value, err := s.get(key)
	if err != nil {
		return nil, damage(err)
	}
	if value, err = take(key, value, -1); err != nil {
		return nil, err
	}
	_, _, chunks, err := decodeSegment(value)
	return chunks, err
}

// pack returns the form and body of a sealed chunk: coded if that is shorter
// and gives the same records back.
func (s *Store) pack(recs []Record) (form byte, body []byte) {
	var raw []byte
	for _, r := range recs {
		raw = appendRaw(raw, r.Data)
	}
	if s.options.Codec == nil {
		return formRaw, raw
	}
	coded, err := s.options.Codec.Seal(nil, recs)
	if err != nil || len(coded) >= len(raw) || !s.same(coded, recs) {
		return formRaw, raw
	}
	return formCoded, coded
}

// same reports whether a coded body holds recs, byte for byte.
func (s *Store) same(coded []byte, recs []Record) bool {
	left := recs
	err := s.unpack(formCoded, coded, func(rec []byte) bool {
		if len(left) == 0 || !bytes.Equal(rec, left[0].Data) {
			left = recs
			return false
		}
		left = left[1:]
		return true
	})
	return err == nil && len(left) == 0
}
