package modbus_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"skyhaul/modbus"
)

// slow is a line that makes every rule of RTU visible.
var slow = modbus.LineTiming{Bit: time.Second / 9600, CharBits: 11}

// cable returns the two ends of a line in memory. Like a driver, and unlike
// net.Pipe, it keeps what is not read yet.
func cable() (a, b *end) {
	x, y := newFlow(), newFlow()
	return &end{in: x, out: y}, &end{in: y, out: x}
}

type end struct {
	in, out *flow
	writes  int
}

func (e *end) Read(p []byte) (int, error)         { return e.in.read(p) }
func (e *end) SetReadDeadline(t time.Time) error  { return e.in.until(t) }
func (e *end) SetWriteDeadline(t time.Time) error { return nil }

func (e *end) Write(p []byte) (int, error) {
	e.writes++
	return e.out.write(p)
}

func (e *end) Close() error {
	e.in.close()
	e.out.close()
	return nil
}

type flow struct {
	mu       sync.Mutex // guards the rest
	changed  *sync.Cond
	b        []byte
	deadline time.Time
	closed   bool
}

func newFlow() *flow {
	f := &flow{}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case !f.deadline.IsZero() && !time.Now().Before(f.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(f.b) > 0:
			n := copy(p, f.b)
			f.b = f.b[n:]
			return n, nil
		case f.closed:
			return 0, io.EOF
		}
		f.changed.Wait()
	}
}

func (f *flow) write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	f.b = append(f.b, p...)
	f.changed.Broadcast()
	return len(p), nil
}

func (f *flow) until(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), f.changed.Broadcast)
	}
	f.changed.Broadcast()
	return nil
}

func (f *flow) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.changed.Broadcast()
}

// piece is what a unit sends, and how long it waits before.
type piece struct {
	after time.Duration
	bytes []byte
}

// counting is unit 1. The values in its answer to the n-th request, from 1, are
// all n, so that an answer to another request shows. What it sends is up to
// fault, which gets the request and the faultless answer.
type counting struct {
	n     int
	fault func(n int, req, resp []byte) []piece
}

// run answers until its line is closed.
func (u *counting) run(line *end) {
	var in []byte
	buf := make([]byte, 512)
	for {
		k, err := line.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:k]...)
		for len(in) > 1 {
			size := 3 + max(1, modbus.RequestLength(in[1:]))
			if len(in) < size {
				break
			}
			u.n++
			for _, p := range u.fault(u.n, in[:size], countingAnswer(u.n, in[:size])) {
				time.Sleep(p.after)
				line.Write(p.bytes)
			}
			in = in[size:]
		}
	}
}

// countingAnswer returns the RTU frame that answers a read with the value n.
func countingAnswer(n int, req []byte) []byte {
	pdu := modbus.PDU(req[1 : len(req)-2])
	r, err := modbus.ParseRequest(pdu)
	if err != nil {
		return nil
	}
	if !r.Function.Reads() {
		return seal(append([]byte{req[0]}, pdu[:min(len(pdu), 5)]...))
	}
	size := 2 * r.Quantity
	if r.Function.Bits() {
		size = (r.Quantity + 7) / 8
	}
	b := []byte{req[0], pdu[0], byte(size)}
	for i := range size {
		b = append(b, byte(n>>(8*(1-i%2))))
	}
	return seal(b)
}

// seal appends the CRC, computed bit by bit to be independent of the table.
func seal(b []byte) []byte {
	r := uint16(0xFFFF)
	for _, c := range b {
		r ^= uint16(c)
		for range 8 {
			odd := r & 1
			r >>= 1
			if odd == 1 {
				r ^= 0xA001
			}
		}
	}
	return binary.LittleEndian.AppendUint16(append([]byte(nil), b...), r)
}

// promptly is an answer after a turnaround of 5 ms.
func promptly(b []byte) []piece { return []piece{{5 * time.Millisecond, b}} }

func read(t testing.TB, fc modbus.FunctionCode, addr uint16, quantity int) modbus.PDU {
	t.Helper()
	req, err := modbus.ReadRequest(fc, addr, quantity)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// outcome counts how reads ended: with the value asked for, with another one
// (which must never be), or with an error.
type outcome struct{ ok, wrong, failed int }

// poll reads the registers of a unit again and again.
func poll(t *testing.T, f modbus.Framing, u *counting, times int, requests ...modbus.PDU) (o outcome, c modbus.Counters, first error) {
	near, far := cable()
	var unit sync.WaitGroup
	unit.Go(func() { u.run(far) })
	defer unit.Wait()
	defer near.Close()
	client := modbus.NewClient(near, f, slow)
	for i := range times {
		req := requests[i%len(requests)]
		a, err := client.Do(t.Context(), 1, req, 300*time.Millisecond)
		switch {
		case err != nil:
			if first == nil {
				first = err
			}
			o.failed++
		case bytes.Equal(a.PDU, pduOf(countingAnswer(near.writes, seal(append([]byte{1}, req...))))):
			o.ok++
		default:
			o.wrong++
		}
	}
	return o, client.Counters(), first
}

func pduOf(frame []byte) modbus.PDU { return frame[1 : len(frame)-2] }

// serve lets h answer on the far end of a new line until the test ends.
func serve(t *testing.T, f modbus.Framing, h modbus.Handler) *end {
	near, far := cable()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- modbus.Serve(ctx, far, f, slow, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
	})
	return near
}
