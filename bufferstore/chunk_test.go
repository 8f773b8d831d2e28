package bufferstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

// withSum gives what a fuzzer made a good checksum.
func withSum(b []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
}

func newKey(t testing.TB, first byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(append(make([]byte, 31), first))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

func TestWrongKeyIsNoDamage(t *testing.T) {
	body := bytes.Repeat([]byte("secret"), 20)
	want := chunk{Epoch{1}, 7, 8, 9}
	b := encodeChunk(newKey(t, 1), "alarm", want, true, body)
	if bytes.Contains(b, []byte("secret")) {
		t.Errorf("in clear: %q", b)
	}
	c, coded, got, err := decodeChunk(newKey(t, 1), "alarm", b)
	if err != nil || c != want || !coded || !bytes.Equal(got, body) {
		t.Errorf("%v %v %q, %v", c, coded, got, err)
	}
	for what, key := range map[string]cipher.AEAD{"no key": nil, "another key": newKey(t, 2)} {
		if _, _, _, err := decodeChunk(key, "alarm", b); !errors.Is(err, errKey) || errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if c, err := checkChunk("alarm", b); err != nil || c != want {
		t.Errorf("checked without a key: %v, %v", c, err)
	}
	moved := bytes.Clone(b[:len(b)-4])
	moved[27]++ // the first number
	if _, _, _, err := decodeChunk(newKey(t, 1), "alarm", withSum(moved)); !errors.Is(err, errKey) {
		t.Errorf("body under another header: %v", err)
	}
	b[60] ^= 1
	if _, _, _, err := decodeChunk(newKey(t, 1), "alarm", b); !errors.Is(err, errDamaged) || errors.Is(err, errKey) {
		t.Errorf("damaged: %v", err)
	}
}

func TestPlainChunkOpensWithAKey(t *testing.T) {
	b := encodeChunk(nil, "a", chunk{Epoch{1}, 7, 8, 9}, false, []byte("body"))
	if _, coded, body, err := decodeChunk(newKey(t, 1), "a", b); err != nil || coded || string(body) != "body" {
		t.Errorf("%v %q, %v", coded, body, err)
	}
}

func TestEveryFlippedBitOfAChunkIsSeen(t *testing.T) {
	b := encodeChunk(nil, "a", chunk{Epoch{1}, 7, 8, 9}, false, []byte("body"))
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		if _, err := checkChunk("a", b); !errors.Is(err, errDamaged) {
			t.Errorf("bit %d: %v", i, err)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

func FuzzChunk(f *testing.F) {
	body := appendRaw(appendRaw(nil, []byte("one")), nil)
	good := encodeChunk(nil, "alarm", chunk{Epoch{1}, 7, 8, 9}, false, body)
	f.Add(good[:len(good)-4])
	f.Add(good[:chunkHeader])
	secret := encodeChunk(newKey(f, 1), "alarm", chunk{Epoch{1}, 7, 8, 9}, true, body)
	f.Add(secret[:len(secret)-4])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = withSum(b)
		c, coded, body, err := decodeChunk(nil, "alarm", b)
		if err != nil {
			if !errors.Is(err, errDamaged) && !errors.Is(err, errKey) {
				t.Error(err)
			}
			return
		}
		if again := encodeChunk(nil, "alarm", c, coded, body); !bytes.Equal(again, b) {
			t.Errorf("%x encodes as %x", b, again)
		}
		var raw []byte
		if err := unpack(nil, coded, body, func(rec []byte) bool {
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
		want := [][]byte{a, b, c}
		if err := eachRaw(appendRaw(appendRaw(appendRaw(nil, a), b), c), func(rec []byte) bool {
			if len(want) == 0 || !bytes.Equal(rec, want[0]) {
				t.Fatalf("got %q, want %q", rec, want)
			}
			want = want[1:]
			return true
		}); err != nil || len(want) > 0 {
			t.Errorf("%q left, %v", want, err)
		}
	})
}
