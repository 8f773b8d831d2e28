package bufferstore

import (
	"bytes"
	"errors"
	"iter"
	"slices"
)

const (
	// chunkBytes is the length of the records in a chunk, unless one alone is longer.
	chunkBytes = 1 << 20
	// buildSlack is what writing a segment takes of the disk for a moment, beside the segment.
	buildSlack = 4 << 20
)

// seal brings the records of full head files into segments, so that the files
// can be filled anew. A lane with little in them gets no segment of its own yet:
// its records are written once more, into the file being filled. Segments are
// built without holding up Sync. Where the disk has no space for them and a
// Sync waits, lanes that may drop give theirs up, and those of others move on
// within the head as long as they fit.
func (s *Store) seal(waiting bool) error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	t, old := &sealer{s: s, up: map[*Lane]Seq{}, carried: map[*Lane]Seq{}}, s.ripe()
	room := s.options.HeadBytes / 16
	for _, l := range s.lanes {
		recs := old[l]
		if len(recs) == 0 || s.built[l] != nil {
			continue
		}
		last, size := recs[len(recs)-1].seq, costs(recs)
		if size <= room {
			t.carried[l] = last
			room -= size
			continue
		}
		g, err := s.build(l, recs, size)
		var full *FullError
		switch {
		case err == nil:
			s.built[l] = &g
		case waiting && errors.As(err, &full) && l.options.Policy != Keep:
			t.up[l] = last
		case waiting && errors.As(err, &full) && size <= s.options.HeadBytes/4:
			t.carried[l] = last
		default:
			return err
		}
	}
	return s.locked(t.note)
}

// sealer is what a seal does with the records of full head files, lane by lane
// up to a number, beside those that are in Store.built.
type sealer struct {
	s           *Store
	up, carried map[*Lane]Seq // given up, written once more
}

func costs(recs []kept) (sum int64) {
	for _, k := range recs {
		sum += cost(k.data)
	}
	return sum
}

// ripe returns the records in full head files, and those between them that were
// written once more.
func (s *Store) ripe() map[*Lane][]kept {
	s.writer.Lock()
	defer s.writer.Unlock()
	old := map[*Lane][]kept{}
	last := s.head.last()
	if last == nil {
		return nil
	}
	for _, l := range s.lanes {
		head := l.current().head
		n := len(head)
		for n > 0 && head[n-1].generation == last.generation {
			n--
		}
		old[l] = head[:n]
	}
	return old
}

// build writes a segment of records. Where there is no space for it, records
// that may go make some.
func (s *Store) build(l *Lane, recs []kept, size int64) (segment, error) {
	if err := s.makeSpace(size + buildSlack); err != nil {
		return segment{}, err
	}
	s.number[l] = max(l.current().next, s.number[l]+1)
	return writeSegment(s.segments(), s.engine, l.name, s.number[l], s.pack(l, recs))
}

// note makes durable what became of the records.
func (p *sealer) note() error {
	t := p.s.begin()
	t.sealing = true
	for l, g := range p.s.built {
		t.seal(l, *g)
	}
	for l, upTo := range p.up {
		_, acked := t.held(l)
		t.cut(l, upTo, acked, Evicted)
	}
	for l, upTo := range p.carried {
		t.carryOver(l, upTo)
	}
	if err := t.commit(); err != nil {
		return err
	}
	clear(p.s.built)
	return nil
}

// seal puts a segment in the place of the records that it holds. Where they
// were given up meanwhile, it goes.
func (t *change) seal(l *Lane, g segment) {
	st := t.lane(l)
	if g.last < st.first {
		t.dropped = append(t.dropped, segmentID{l.name, g.number})
		return
	}
	st.settle(g)
	t.event(kindSealed, l.name, func(b []byte) []byte { return appendSegment(b, g) })
}

// carryOver writes the records up to a number once more.
func (t *change) carryOver(l *Lane, upTo Seq) {
	st := t.lane(l)
	n := st.find(upTo + 1)
	st.head = slices.Clone(st.head)
	for i := range st.head[:n] {
		st.head[i].generation = 0
	}
	t.carry(l, st.head[:n])
}

// pack yields records as chunks.
func (s *Store) pack(l *Lane, recs []kept) iter.Seq2[sealedChunk, error] {
	return func(yield func(sealedChunk, error) bool) {
		for len(recs) > 0 {
			sp, _ := spanAt(l.spans, recs[0].seq, recs[0].seq)
			n := run(l.spans, recs)
			c := chunk{epoch: sp.epoch, first: recs[0].seq, last: recs[n-1].seq, age: recs[n-1].age}
			coded, body := s.body(sp.epoch, recs[:n])
			if !yield(sealedChunk{c, encodeChunk(s.key, l.name, c, coded, body)}, nil) {
				return
			}
			recs = recs[n:]
		}
	}
}

// run returns how many records go into one chunk: of one epoch, without a hole.
func run(spans []span, recs []kept) (n int) {
	_, last := spanAt(spans, recs[0].seq, maxSeq)
	var size int64
	for n < len(recs) && recs[n].seq == recs[0].seq+Seq(n) && recs[n].seq <= last {
		if size += int64(len(recs[n].data)) + 3; n > 0 && size > chunkBytes {
			break
		}
		n++
	}
	return n
}

// body returns the body of a chunk: coded if that is shorter and gives the same
// records back.
func (s *Store) body(e Epoch, recs []kept) (coded bool, body []byte) {
	var raw []byte
	all := make([]Record, len(recs))
	for i, k := range recs {
		raw = appendRaw(raw, k.data)
		all[i] = Record{Epoch: e, First: k.seq, Last: k.seq, Data: k.data}
	}
	if s.options.Codec == nil {
		return false, raw
	}
	packed, err := s.options.Codec.Seal(nil, all)
	if err != nil || len(packed) >= len(raw) || !s.same(packed, all) {
		return false, raw
	}
	return true, packed
}

// same reports whether a coded body holds recs, byte for byte.
func (s *Store) same(body []byte, recs []Record) bool {
	left := recs
	err := unpack(s.options.Codec, true, body, func(rec []byte) bool {
		if len(left) == 0 || !bytes.Equal(rec, left[0].Data) {
			left = recs
			return false
		}
		left = left[1:]
		return true
	})
	return err == nil && len(left) == 0
}
