package bufferstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sealed gives what a fuzzer made a good checksum.
func sealed(b []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
}

func FuzzChunk(f *testing.F) {
	body := appendRaw(appendRaw(nil, []byte("one")), nil)
	good := encodeChunk("alarm", chunk{epoch: Epoch{1}, first: 7, last: 8, age: 9}, formRaw, body)
	f.Add(good[:len(good)-4])
	f.Add(good[:chunkHeader])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, form, body, err := decodeChunk("alarm", sealed(b))
		if err != nil {
			return
		}
		if again := encodeChunk("alarm", c, form, body); !bytes.Equal(again, sealed(b)) {
			t.Errorf("%x encodes as %x", sealed(b), again)
		}
		var raw []byte
		if err := eachRaw(body, func(rec []byte) bool {
			raw = appendRaw(raw, rec)
			return true
		}); err == nil && len(raw) > len(body) {
			t.Errorf("records of %d bytes in a body of %d", len(raw), len(body))
		}
	})
}

func FuzzRaw(f *testing.F) {
	f.Add([]byte("a"), []byte(""), []byte("ccc"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		want := [][]byte{bytes.Clone(a), bytes.Clone(b), bytes.Clone(c)}
		var got [][]byte
		if err := eachRaw(appendRaw(appendRaw(appendRaw(nil, a), b), c), func(rec []byte) bool {
			got = append(got, bytes.Clone(rec))
			return true
		}); err != nil || !bytes.Equal(bytes.Join(want, []byte{0}), bytes.Join(got, []byte{0})) {
			t.Errorf("%q became %q, %v", want, got, err)
		}
	})
}

func FuzzSegment(f *testing.F) {
	f.Add(encodeSegment(5, 6, []extent{{1, 3}, {4, 4}, {9, 1000}}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		age, size, chunks, err := decodeSegment(b)
		if err != nil {
			return
		}
		for i, c := range chunks {
			if c.last < c.first || i > 0 && c.first <= chunks[i-1].last {
				t.Fatalf("chunks out of order: %v", chunks)
			}
		}
		again, sizeAgain, chunksAgain, err := decodeSegment(encodeSegment(age, size, chunks))
		if err != nil || again != age || sizeAgain != size || !cmp.Equal(chunks, chunksAgain, cmp.AllowUnexported(extent{})) {
			t.Errorf("%v became %v, %v", chunks, chunksAgain, err)
		}
	})
}

func FuzzMarks(f *testing.F) {
	good := encodeMarks(3, map[string]laneMark{
		"a": {first: 1, end: 9, spans: []span{{Epoch{1}, Epoch{}, 1}, {Epoch{2}, Epoch{1}, 5}}, cursors: map[string]marks{"hub": {4, 3, 2, 1}}},
		"b": {first: 1},
	})
	f.Add(good[:len(good)-4])
	f.Add([]byte(marksMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, all, ok := decodeMarks(sealed(b))
		if !ok {
			return
		}
		m, again, ok := decodeMarks(encodeMarks(n, all))
		exported := cmp.AllowUnexported(laneMark{}, span{}, marks{})
		if diff := cmp.Diff(all, again, exported); !ok || m != n || diff != "" {
			t.Error(diff)
		}
	})
}
