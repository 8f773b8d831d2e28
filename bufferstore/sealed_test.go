package bufferstore

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzSealed(f *testing.F) {
	good := encodeSealed(sealed{
		lane: "alarm", number: 7, age: 9,
		chunks: []extent{{Epoch{1}, 1, 3, 50}, {Epoch{2}, 5, 5, maxChunk}},
		files:  []sealedFile{{"000001.sst", 100, 5}, {"MANIFEST", 1 << 40, 6}},
	})
	f.Add(good[:len(good)-4])
	f.Add([]byte(sealedMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = withSum(b)
		s, err := decodeSealed(b)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Error(err)
			}
			return
		}
		var before Seq
		for _, c := range s.chunks {
			if c.first <= before || c.last < c.first {
				t.Fatalf("chunks out of order: %v", s.chunks)
			}
			before = c.last
		}
		if again := encodeSealed(s); !bytes.Equal(again, b) {
			t.Errorf("%x encodes as %x", b, again)
		}
	})
}
