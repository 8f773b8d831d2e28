package bufferstore

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// marksMagic begins a file of marks.
const marksMagic = "SKYM\x01"

// laneMark is what is known of a lane apart from the engine, so that durable
// records that the engine no longer finds are missed and declared.
type laneMark struct {
	first, end Seq
	spans      []span
	cursors    map[string]marks
}

// encodeMarks writes what is known of all lanes as of a number of writing.
// Numbers are big endian u64; lists begin with their length, u32.
//
//	| SKYM | 1 | number | list of lanes | crc32c |
//	lane:   | length u8, name | first | end | list of spans | list of cursors |
//	span:   | epoch [8] | parent [8] | first |
//	cursor: | length u8, name | sent | acked | max age, ns | max bytes |
func encodeMarks(n uint64, all map[string]laneMark) []byte {
	b := binary.BigEndian.AppendUint64([]byte(marksMagic), n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	for _, lane := range slices.Sorted(maps.Keys(all)) {
		m := all[lane]
		b = append(append(b, byte(len(lane))), lane...)
		b = append(b, encodeNumbers(uint64(m.first), uint64(m.end))...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.spans)))
		for _, sp := range m.spans {
			b = append(append(b, sp.epoch[:]...), sp.parent[:]...)
			b = binary.BigEndian.AppendUint64(b, uint64(sp.first))
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.cursors)))
		for _, name := range slices.Sorted(maps.Keys(m.cursors)) {
			b = append(append(b, byte(len(name))), name...)
			b = append(b, m.cursors[name].encode()...)
		}
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeMarks reads what encodeMarks wrote.
func decodeMarks(b []byte) (n uint64, all map[string]laneMark, ok bool) {
	end := len(b) - 4
	if end < len(marksMagic) || string(b[:len(marksMagic)]) != marksMagic ||
		binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return 0, nil, false
	}
	d := marksDecoder{b: b[len(marksMagic):end]}
	n, all = d.number(), map[string]laneMark{}
	for range d.length() {
		name := d.name()
		m := laneMark{first: Seq(d.number()), end: Seq(d.number()), cursors: map[string]marks{}}
		for range d.length() {
			m.spans = append(m.spans, span{Epoch(d.bytes(8)), Epoch(d.bytes(8)), Seq(d.number())})
		}
		for range d.length() {
			m.cursors[d.name()] = decodeCursor(d.bytes(32))
		}
		all[name] = m
	}
	return n, all, !d.short && len(d.b) == 0
}

// marksDecoder takes values off b. Behind its end they are zero, and lists empty.
type marksDecoder struct {
	b     []byte
	short bool
}

func (d *marksDecoder) bytes(n int) []byte {
	if d.short = d.short || n > len(d.b); d.short {
		return make([]byte, n)
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *marksDecoder) number() uint64 { return binary.BigEndian.Uint64(d.bytes(8)) }

func (d *marksDecoder) name() string { return string(d.bytes(int(d.bytes(1)[0]))) }

// length returns the length of a list that can still follow.
func (d *marksDecoder) length() int {
	n := binary.BigEndian.Uint32(d.bytes(4))
	if d.short = d.short || int64(n) > int64(len(d.b)); d.short {
		return 0
	}
	return int(n)
}

// marksFile names the files that are written in turn: a cut hits one of them.
func (s *Store) marksFile(n uint64) string {
	return filepath.Join(s.dir, []string{"marks-0", "marks-1"}[n%2])
}

// readMarks returns the newer marks, as far as they can be read.
func (s *Store) readMarks() (newest map[string]laneMark) {
	for i := range uint64(2) {
		b, err := os.ReadFile(s.marksFile(i))
		if err != nil {
			continue
		}
		if n, all, ok := decodeMarks(b); ok && n >= s.marked {
			s.marked, newest = n, all
		}
	}
	return newest
}

// writeMarks notes what is durable. It is a second witness only: it isn't
// synced, and a failure is no failure of the store.
func (s *Store) writeMarks() {
	all := map[string]laneMark{}
	s.mu.Lock()
	for _, l := range s.lanes {
		m := laneMark{first: l.state.first, end: l.state.end, spans: l.spans, cursors: map[string]marks{}}
		for name, c := range l.cursors {
			if c.saved != unsaved {
				m.cursors[name] = c.saved
			}
		}
		all[l.name] = m
	}
	s.mu.Unlock()
	s.marked++
	if err := os.WriteFile(s.marksFile(s.marked), encodeMarks(s.marked, all), 0o600); err != nil {
		s.options.Logger.Debug("writing marks", "err", err)
	}
}

// recall declares numbers damaged that the engine has lost at the end of a lane:
// it drops all behind a damaged place of its log without a word. The marks
// must continue what the engine knows.
func (f *found) recall(m laneMark) bool {
	own := slices.DeleteFunc(slices.Clone(f.spans), func(sp span) bool { return sp.first > f.state.end })
	known := 0
	if n := len(own); n > 0 {
		known = slices.Index(m.spans, own[n-1]) + 1
	}
	if m.end <= f.state.end || len(m.spans) == 0 || len(own) > 0 && known == 0 {
		return false
	}
	f.state.first = max(f.state.first, m.first)
	f.spans = append(own, m.spans[known:]...)
	f.cursors = m.cursors
	f.state.gaps = declare(f.state.gaps, max(f.state.first, f.state.end+1), m.end, Damaged)
	f.state.end = m.end
	return true
}

func (m marks) encode() []byte {
	return encodeNumbers(uint64(m.sent), uint64(m.acked), uint64(m.maxAge), uint64(m.maxBytes))
}

func decodeCursor(b []byte) marks {
	return marks{Seq(number(b, 0)), Seq(number(b, 1)), time.Duration(number(b, 2)), int64(number(b, 3))}
}
