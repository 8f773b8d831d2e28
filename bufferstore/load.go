package bufferstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// found is what an engine holds of a lane.
type found struct {
	state   state
	known   bool  // the lane was there
	epoch   Epoch // its last
	spans   []span
	cursors map[string]marks

	recalled bool // what is here was not all in the engine
}

// load reads what an engine holds of a lane. Damaged chunks and gaps read as a
// damaged gap later, a segment's list is made anew from its chunks, and a
// damaged cursor begins anew; a damaged lane or span is an error, because a
// record could come under a wrong name.
func load(e engine, lane string) (*found, error) {
	f := &found{state: state{first: 1, low: 1, live: 1, next: 1}, cursors: map[string]marks{}}
	for _, step := range []func(engine, string) error{f.loadLane, f.loadSpans, f.loadGaps, f.loadCursors, f.loadSegments, f.loadHead} {
		if err := step(e, lane); err != nil {
			return nil, fmt.Errorf("lane %s: %w", lane, err)
		}
	}
	f.state.clean()
	return f, nil
}

func (f *found) loadLane(e engine, lane string) error {
	key := laneKey(keyLane, lane)
	stored, err := e.get(key)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := take(key, stored, 36)
	if err != nil {
		return err
	}
	st := &f.state
	f.known, f.epoch = true, Epoch(v[28:])
	st.first, st.end = Seq(number(v, 0)), Seq(number(v, 1))
	st.low, st.live, st.next = binary.BigEndian.Uint32(v[16:]), binary.BigEndian.Uint32(v[20:]), binary.BigEndian.Uint32(v[24:])
	if st.first < 1 || st.first > st.end+1 || st.end >= maxSeq || st.low > st.live || st.live > st.next {
		return errDamaged
	}
	return nil
}

// eachOf calls f for the values of a kind of key in a lane, with the end of the key.
func eachOf(e engine, kind byte, lane string, f func(end, key, value []byte) error) error {
	prefix := laneKey(kind, lane)
	return e.each(prefix, func(key, value []byte) error {
		return f(bytes.TrimPrefix(key, prefix), key, value)
	})
}

func (f *found) loadSpans(e engine, lane string) error {
	err := eachOf(e, keySpan, lane, func(end, key, stored []byte) error {
		v, err := take(key, stored, 16)
		if err != nil || len(end) != 8 {
			return errors.Join(err, errDamaged)
		}
		sp := span{epoch: Epoch(v[:8]), parent: Epoch(v[8:]), first: Seq(number(end, 0))}
		if n := len(f.spans); n > 0 && f.spans[n-1].epoch != sp.parent {
			return fmt.Errorf("epoch %s: parent %s is missing: %w", sp.epoch, sp.parent, errDamaged)
		}
		f.spans = append(f.spans, sp)
		return nil
	})
	if err != nil {
		return err
	}
	return f.checkSpans()
}

// checkSpans tells whether the spans are all there, from the oldest kept
// number to the last epoch.
func (f *found) checkSpans() error {
	n := len(f.spans)
	if n == 0 && !f.known {
		return nil
	}
	if n == 0 || !f.known || f.spans[0].first > f.state.first || f.spans[n-1].first > f.state.end+1 || f.spans[n-1].epoch != f.epoch {
		return fmt.Errorf("epochs: %w", errDamaged)
	}
	return nil
}

func (f *found) loadGaps(e engine, lane string) error {
	return eachOf(e, keyGap, lane, func(end, key, stored []byte) error {
		v, err := take(key, stored, 9)
		if err != nil || len(end) != 8 || !Reason(v[8]).Valid() || v[8] == byte(Kept) {
			return nil
		}
		first, last := Seq(number(end, 0)), min(Seq(number(v, 0)), f.state.end)
		if first <= last {
			f.state.gaps = declare(f.state.gaps, first, last, Reason(v[8]))
		}
		return nil
	})
}

func (f *found) loadCursors(e engine, lane string) error {
	return eachOf(e, keyCursor, lane, func(end, key, stored []byte) error {
		v, err := take(key, stored, 32)
		if err != nil {
			return nil
		}
		m := decodeCursor(v)
		m.acked = min(m.acked, f.state.end)
		m.sent = max(m.acked, min(m.sent, f.state.end))
		f.cursors[string(end)] = m
		return nil
	})
}

func (f *found) loadSegments(e engine, lane string) error {
	intact := map[uint32]segment{}
	err := eachOf(e, keySegment, lane, func(end, key, stored []byte) error {
		v, err := take(key, stored, -1)
		if err != nil || len(end) != 4 {
			return nil
		}
		number := binary.BigEndian.Uint32(end)
		if age, size, chunks, err := decodeSegment(v); err == nil {
			intact[number] = newSegment(number, age, size, chunks)
		}
		return nil
	})
	for n := f.state.live; n < f.state.next && err == nil; n++ {
		g, ok := intact[n]
		if !ok {
			g, ok, err = rebuild(e, lane, n)
		}
		if ok {
			f.state.segments = append(f.state.segments, g)
		}
	}
	return err
}

// rebuild makes the list of a segment's chunks anew, from those that are intact.
func rebuild(e engine, lane string, number uint32) (g segment, ok bool, err error) {
	var age time.Duration
	var size int64
	var chunks []extent
	next := Seq(1)
	err = e.each(segmentKey(keySealed, lane, number), func(key, value []byte) error {
		c, _, _, err := decodeChunk(lane, value)
		if err == nil && bytes.Equal(key, sealedKey(lane, number, c.first)) && fits(&next, c.last, c.first, c.last) {
			chunks, age, size = append(chunks, extent{c.first, c.last}), c.age, size+c.bytes
		}
		return nil
	})
	if err != nil || len(chunks) == 0 {
		return segment{}, false, err
	}
	list := put(segmentKey(keySegment, lane, number), encodeSegment(age, size, chunks))
	return newSegment(number, age, size, chunks), true, e.apply([]op{list})
}

func newSegment(number uint32, age time.Duration, size int64, chunks []extent) segment {
	return segment{number, chunks[0].first, chunks[len(chunks)-1].last, age, size, len(chunks)}
}

func (f *found) loadHead(e engine, lane string) error {
	return eachOf(e, keyHead, lane, func(end, _, value []byte) error {
		c, _, _, err := decodeChunk(lane, value)
		if err == nil && len(end) == 8 && c.first == Seq(number(end, 0)) {
			f.state.head = append(f.state.head, c)
		}
		return nil
	})
}
