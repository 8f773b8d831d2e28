// Package bench measures what the wire format makes of recorded data: it
// plays a recording through encoder and decoder, batch by batch, and compares
// what comes out bit for bit.
package bench

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// Result is what one recording costs in batches of one length.
type Result struct {
	File            string  `json:"file"`     // path as given to Load
	Batch           string  `json:"batch"`    // wall time of a batch, such as "15m"
	Readings        int     `json:"readings"` // cells, with or without a value
	Bytes           int     `json:"bytes"`    // all payloads, without the schema
	BytesPerReading float64 `json:"bytes_per_reading"`
	EncodeNs        float64 `json:"encode_ns_per_reading"`
	DecodeNs        float64 `json:"decode_ns_per_reading"`
}

// Measure cuts the recording into batches of the given wall time, at its
// multiples since 1970, and encodes and decodes each. The schema is taken to be
// acked before, and each batch but the last one sent too. An error is a
// difference between what went in and what came out, or a payload that
// couldn't be made or read.
func (r *Recording) Measure(length time.Duration) (Result, error) {
	if length < time.Millisecond {
		return Result{}, fmt.Errorf("batch length %v is shorter than a millisecond", length)
	}
	res := Result{File: r.path, Batch: name(length), Readings: len(r.records) * len(r.schema.Columns)}
	enc, dec := batch.NewEncoder(r.lookup), batch.NewDecoder(r.lookup)
	_, last, err := enc.Encode(nil, header, r.from(0, 1), math.MaxInt)
	if err != nil {
		return Result{}, err
	}
	enc.Acked(last)
	h := header
	for at := 0; at < len(r.records); {
		next, err := r.play(&res, enc, dec, h, at, r.end(at, length))
		if err != nil {
			return Result{}, fmt.Errorf("%s line %d: %w", r.path, at+2, err)
		}
		h.Acked = bufferstore.Seq(at)
		at = next
	}
	n := float64(res.Readings)
	res.BytesPerReading = float64(res.Bytes) / n
	res.EncodeNs /= n
	res.DecodeNs /= n
	return res, nil
}

// play makes one batch of the scans at to end, adds what it costs, and returns
// the first scan that it doesn't hold.
func (r *Recording) play(res *Result, enc *batch.Encoder, dec *batch.Decoder, h batch.Header, at, end int) (next int, err error) {
	begin := time.Now()
	p, last, err := enc.Encode(nil, h, r.from(at, end), math.MaxInt)
	encoded := time.Now()
	if err != nil {
		return 0, err
	}
	b, err := dec.Decode(p)
	res.DecodeNs += float64(time.Since(encoded))
	res.EncodeNs += float64(encoded.Sub(begin))
	res.Bytes += len(p)
	if err != nil {
		return 0, err
	}
	return int(last), r.compare(b, at, int(last))
}

// name writes a batch length the way it is given: 15m, not 15m0s.
func name(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

var header = batch.Header{Lane: point.History, Epoch: bufferstore.Epoch{1}}

func (r *Recording) lookup(id point.SchemaID) (*point.Schema, bool) {
	return &r.schema, id == r.id
}

// end returns the first scan after at that is of another batch.
func (r *Recording) end(at int, length time.Duration) int {
	window := r.walls[at] / length.Milliseconds()
	for at < len(r.walls) && r.walls[at]/length.Milliseconds() == window {
		at++
	}
	return at
}

// from gives scans at to end as records; the first scan is number 1.
func (r *Recording) from(at, end int) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		for i := at; i < end && yield(r.record(i), nil); i++ {
		}
	}
}

func (r *Recording) record(i int) bufferstore.Record {
	n := bufferstore.Seq(i + 1)
	return bufferstore.Record{Epoch: header.Epoch, First: n, Last: n, Data: r.records[i]}
}

// compare returns an error unless b holds exactly the scans at to end.
func (r *Recording) compare(b *batch.Batch, at, end int) error {
	if len(b.Records) != end-at {
		return fmt.Errorf("%d scans decoded of %d", len(b.Records), end-at)
	}
	for i, got := range b.Records {
		want := r.record(at + i)
		if got.Epoch != want.Epoch || got.First != want.First || got.Last != want.Last || got.Lost != want.Lost || !bytes.Equal(got.Data, want.Data) {
			return fmt.Errorf("scan %d differs: decoded %x, encoded %x", i, got.Data, want.Data)
		}
	}
	return nil
}
