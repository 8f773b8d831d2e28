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
	File            string  `json:"file"`
	Batch           string  `json:"batch"`    // wall time of a batch, such as "15m"
	Readings        int     `json:"readings"` // cells, with or without a value
	Bytes           int     `json:"bytes"`    // all payloads, without the schema
	BytesPerReading float64 `json:"bytes_per_reading"`
	EncodeNs        float64 `json:"encode_ns_per_reading"`
	DecodeNs        float64 `json:"decode_ns_per_reading"`
}

// Measure cuts the recording into batches of the given wall time, at its
// multiples since 1970, and encodes and decodes each. The schema is taken to be
// acked before. An error is a difference between what went in and what came
// out, or a payload that couldn't be made or read.
func (r *Recording) Measure(length time.Duration) (Result, error) {
	if length < time.Millisecond {
		return Result{}, fmt.Errorf("batch length %v is shorter than a millisecond", length)
	}
	res := Result{File: r.name, Batch: name(length), Readings: len(r.records) * len(r.schema.Columns)}
	enc, dec := batch.NewEncoder(r.lookup), batch.NewDecoder(r.lookup)
	if _, last, err := enc.Encode(nil, header, r.from(0, 1), math.MaxInt); err != nil {
		return Result{}, err
	} else {
		enc.Acked(last)
	}
	var encoding, decoding time.Duration
	var p []byte
	for at := 0; at < len(r.records); {
		begin := time.Now()
		p, last, err := enc.Encode(p[:0], header, r.from(at, r.end(at, length)), math.MaxInt)
		encoded := time.Now()
		if err != nil {
			return Result{}, fmt.Errorf("%s row %d: encode: %w", r.name, at+2, err)
		}
		b, err := dec.Decode(p)
		decoding += time.Since(encoded)
		encoding += encoded.Sub(begin)
		if err == nil {
			err = r.compare(b, at, int(last))
		}
		if err != nil {
			return Result{}, fmt.Errorf("%s row %d: %w", r.name, at+2, err)
		}
		res.Bytes += len(p)
		at = int(last)
	}
	n := float64(max(res.Readings, 1))
	res.BytesPerReading = float64(res.Bytes) / n
	res.EncodeNs, res.DecodeNs = float64(encoding)/n, float64(decoding)/n
	return res, nil
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
