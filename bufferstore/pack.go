package bufferstore

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

const (
	// packBytes bounds the records of a pack: so much may one damaged byte cost.
	packBytes = 64 << 10
	// likeBytes is how many bytes at its beginning tell what a record is like.
	likeBytes = 9
)

// pack makes a commit of more than a page smaller, by putting runs of its records
// into frames of kindPacked. A card writes whole pages: within one there is
// nothing to gain.
func pack(events []event) []event {
	if commitCost(events) <= pageBytes {
		return events
	}
	var out, run []event
	size := 0
	for _, e := range append(events, event{}) {
		if e.kind != kindRecord || size+len(e.body) > packBytes {
			out = append(out, packed(run, size)...)
			run, size = nil, 0
		}
		if e.kind == kindRecord {
			run, size = append(run, e), size+len(e.body)
		} else {
			out = append(out, e)
		}
	}
	return out[:len(out)-1]
}

// packed returns records as one event, if that is shorter.
func packed(run []event, size int) []event {
	if len(run) < 2 {
		return run
	}
	plain := make([]byte, 0, size+3*len(run))
	before := map[string][]byte{}
	for _, e := range run {
		plain = binary.AppendUvarint(plain, uint64(len(e.body)))
		key, at := likeness(e.body)
		plain = append(plain, e.body[:at]...)
		for i, c := range e.body[at:] {
			if old := before[key]; old != nil {
				c -= old[at+i]
			}
			plain = append(plain, c)
		}
		before[key] = e.body
	}
	body := encoder.EncodeAll(plain, nil)
	if len(body) >= size+frameHeader*(len(run)-1) {
		return run
	}
	return []event{{kindPacked, body}}
}

// unpackRecords yields the bodies of the records in a pack, as far as they are whole.
func unpackRecords(body []byte, yield func(body []byte)) error {
	plain, err := decoder.DecodeAll(body, nil)
	if err != nil {
		return fmt.Errorf("pack: %w", errDamaged)
	}
	before := map[string][]byte{}
	for len(plain) > 0 {
		size, n := binary.Uvarint(plain)
		if n <= 0 || size > uint64(len(plain)-n) {
			return fmt.Errorf("pack: %w", errDamaged)
		}
		rec := plain[n : n+int(size)]
		key, at := likeness(rec)
		if old := before[key]; old != nil {
			for i := at; i < len(rec); i++ {
				rec[i] += old[i]
			}
		}
		before[key], plain = rec, plain[n+int(size):]
		yield(rec)
	}
	return nil
}

// likeness returns a key that is the same for records of one length, lane and
// beginning, which may differ little, and where behind that a record begins.
func likeness(body []byte) (key string, at int) {
	if len(body) == 0 {
		return "", 0
	}
	name := min(len(body), 1+int(body[0]))
	data := min(len(body), name+16) // behind epoch and number
	at = min(len(body), data+likeBytes)
	return fmt.Sprintf("%d %s%s", len(body), body[:name], body[data:at]), at
}

// encoder and decoder pack and unpack. They are whole from the beginning: their
// channels, made by the first use in a bubble of testing/synctest, would belong to that.
var (
	encoder = newEncoder()
	decoder = newDecoder()
)

func newEncoder() *zstd.Encoder {
	e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10)) // fails for bad options only
	e.EncodeAll(nil, nil)
	return e
}

func newDecoder() *zstd.Decoder {
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*packBytes+MaxRecord)) // as above
	return d
}
