// Package bench measures what the wire format makes of recorded data: it
// plays a recording through encoder and decoder, batch by batch, and compares
// what comes out bit for bit. It also measures what encodings in use today make
// of the same batches.
package bench

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

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
	// StateBytes is the memory a column that either end keeps from batch to batch.
	StateBytes int `json:"state_bytes_per_point"`
	// Peers are the bytes per reading of the encodings that PeerNames lists.
	Peers map[string]float64 `json:"peers,omitempty"`
}

// Options say what Measure measures. The zero value is the whole recording,
// without the peers.
type Options struct {
	Peers bool  // measure the encodings in use today as well
	Alone bool  // every batch stands on its own: level A
	Slots uint8 // log2 of the counters a column, see batch.Encoder.SetSlots; 0 for the usual number
	// First stops after the first batch, which is of full length: its time runs
	// from the first scan on. The encoder knows the schema then, and nothing else.
	First    bool
	Progress func(done, scans int) // called after each batch; nil for none
}

// Measure cuts the recording into batches of the given wall time, at its
// multiples since 1970, and encodes and decodes each. The schema is taken to be
// acked before, and each batch but the last one sent too. An error is a
// difference between what went in and what came out, a payload that couldn't
// be made or read, or that of ctx.
func (r *Recording) Measure(ctx context.Context, length time.Duration, o Options) (Result, error) {
	if length < time.Millisecond {
		return Result{}, fmt.Errorf("batch length %v is shorter than a millisecond", length)
	}
	c, err := newCoder(r, o)
	if err != nil {
		return Result{}, err
	}
	res := Result{File: r.path, Batch: name(length)}
	var others *comparison
	if o.Peers {
		others = newComparison(r)
	}
	start, stop := r.span(length, o.First)
	for at := 0; at < stop; {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		next, err := r.play(&res, c, at, r.end(at, start, length))
		if err != nil {
			return Result{}, fmt.Errorf("%s line %d: %w", r.path, at+2, err)
		}
		others.add(at, next)
		c.acked(at)
		at = next
		if o.Progress != nil {
			o.Progress(at, stop)
		}
	}
	res.divide(stop * len(r.schema.Columns))
	res.StateBytes = c.state() / len(r.schema.Columns)
	res.Peers = others.perReading(res.Readings)
	return res, nil
}

// divide makes figures per reading of sums.
func (res *Result) divide(readings int) {
	n := float64(readings)
	res.Readings = readings
	res.BytesPerReading = float64(res.Bytes) / n
	res.EncodeNs /= n
	res.DecodeNs /= n
}

// play makes one batch of the scans at to end, adds what it costs, and returns
// the first scan that it doesn't hold.
func (r *Recording) play(res *Result, c *coder, at, end int) (next int, err error) {
	begin := time.Now()
	p, next, err := c.encode(at, end)
	encoded := time.Now()
	if err != nil {
		return 0, err
	}
	b, err := c.decode(p)
	res.DecodeNs += float64(time.Since(encoded))
	res.EncodeNs += float64(encoded.Sub(begin))
	res.Bytes += len(p)
	if err != nil {
		return 0, err
	}
	return next, r.compare(b, at, next)
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

// span returns the time from which batches are counted, Unix milliseconds, and
// how many scans go into batches.
func (r *Recording) span(length time.Duration, first bool) (start int64, scans int) {
	if !first {
		return 0, len(r.scans)
	}
	start = r.scans[0].Stamp.Wall
	return start, r.end(0, start, length)
}

// end returns the first scan after at that is of another batch, of those that
// begin at start, Unix milliseconds, and its multiples of length after it.
func (r *Recording) end(at int, start int64, length time.Duration) int {
	window := func(i int) int64 { return (r.scans[i].Stamp.Wall - start) / length.Milliseconds() }
	first := window(at)
	for at < len(r.scans) && window(at) == first {
		at++
	}
	return at
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
