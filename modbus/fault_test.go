package modbus_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

var (
	frames = flag.Int("frames", 20_000, "requests of the fault matrix, all together")
	seed   = flag.Uint64("seed", 1, "seed of the fault matrix")
)

// fate is what becomes of answers while a fault lasts.
type fate uint8

const (
	mayPass fate = iota
	pass         // all of them
	fail         // none
)

// row is a fault. In a row with odds as many wrong values are to be expected of
// the checksum; in all others not one.
type row struct {
	name  string
	fault fault
	fate  fate
	echo  bool
	odds  func(line) float64
}

// crcOdds is what a 16-bit checksum lets pass of what was overwritten, and
// lrcOdds what the sum of ASCII does.
const (
	crcOdds = 1.0 / (1 << 16)
	lrcOdds = 1.0 / (1 << 8)
)

func checksum(l line) float64 {
	if l.ascii() {
		return lrcOdds
	}
	return crcOdds
}

// The first rows are those of a comparison in which four other clients returned
// values of earlier requests, or of the wrong unit, without an error.
var rows = []row{
	{name: "clean", fault: clean, fate: pass},
	{name: "gap of 20 ms in the answer", fault: gap, fate: pass},
	{name: "in pieces, 16 ms apart", fault: inPieces, fate: pass},
	{name: "stray byte before", fault: strayBefore, fate: pass},
	{name: "stray byte long before", fault: strayLongBefore, fate: pass},
	{name: "stray byte after", fault: strayAfter, fate: pass},
	{name: "another unit as well", fault: otherUnitToo, fate: pass},
	{name: "held until the next request", fault: held, fate: fail},
	{name: "three requests late", fault: heldLong, fate: fail},
	{name: "after the timeout", fault: late, fate: fail},
	{name: "after any time", fault: sometime},
	{name: "two answers at once", fault: sometimesHeld},
	{name: "rest comes with the next", fault: split},
	{name: "request lost, answer before it late", fault: lateOrLost, fate: fail},
	{name: "another unit", fault: otherUnit, fate: fail},
	{name: "another function", fault: otherFunction, fate: fail},
	{name: "another count", fault: otherCount, fate: fail},
	{name: "wrong checksum", fault: wrongChecksum, fate: fail},
	{name: "cut short", fault: cutShort, fate: fail},
	{name: "begin missing", fault: beginMissing, fate: fail},
	{name: "silence", fault: silence, fate: fail},
	{name: "stray byte, then silence", fault: stray, fate: fail},
	{name: "request lost", fault: lost, fate: fail},
	{name: "echo", fault: clean, fate: pass, echo: true},
	{name: "echo, stray byte before answer", fault: strayBefore, fate: pass, echo: true},
	{name: "echo, request lost", fault: lost, fate: fail, echo: true},
	{name: "echo, held until the next", fault: held, fate: fail, echo: true},
	{name: "echo, after any time", fault: sometime, echo: true},
	{name: "collision with another unit", fault: collision},
	{name: "one bit turned", fault: oneBit},
	{name: "any weather", fault: weather},
	{name: "any weather, echo", fault: weather, echo: true},
	{name: "spliced with another", fault: spliced, odds: checksum},
	{name: "bytes missing", fault: bytesMissing, odds: checksum},
	{name: "burst of any bytes", fault: burst, odds: func(line) float64 { return crcOdds }},
	{name: "burst of any digits", fault: otherDigits, odds: checksum},
}

// line is a kind of line that the faults are tried on.
type line struct {
	modbus.Framing
	enron bool
	spare bool // nothing of what is asked for, in any table, is read to separate
}

func (l line) ascii() bool { return l.Framing == modbus.ASCII || l.Framing == modbus.ASCIIOverTCP }

func (l line) String() string {
	switch {
	case l.enron:
		return "enron on " + l.Framing.String()
	case l.spare:
		return "spared on " + l.Framing.String()
	}
	return l.Framing.String()
}

func (l line) language() language {
	if l.ascii() {
		return ascii
	}
	return rtu
}

var lines = []line{
	{Framing: modbus.RTU},
	{Framing: modbus.RTUOverTCP},
	{Framing: modbus.ASCII},
	{Framing: modbus.ASCIIOverTCP},
	{Framing: modbus.RTU, enron: true},
	{Framing: modbus.RTU, spare: true},
}

// requests are asked in the fault matrix.
func (l line) requests() (all []modbus.PDU) {
	if l.enron {
		return []modbus.PDU{
			{3, 27, 89, 0, 1}, {3, 27, 89, 0, 2}, {3, 27, 89, 0, 62}, // floats from 7001
			{4, 19, 137, 0, 1}, {4, 19, 137, 0, 10}, // long integers from 5001
			{3, 11, 185, 0, 2}, {1, 3, 233, 0, 24}, {3, 0, 7, 0, 2}, // short ones from 3001, booleans from 1001
			{3, 2, 189, 0, 1}, {3, 2, 189, 0, 2}, {3, 2, 190, 0, 2}, // records of archives 701 and 702
			{6, 27, 89, 1, 2, 3, 4}, {16, 27, 89, 0, 1, 4, 1, 2, 3, 4}, {5, 0, 32, 255, 0},
		}
	}
	for fc := modbus.FuncReadCoils; fc <= modbus.FuncReadInputRegisters; fc++ {
		for _, quantity := range []byte{1, 2, 3, 17, 24, 125} {
			all = append(all, modbus.PDU{byte(fc), 3, 1, 0, quantity})
		}
	}
	return append(all,
		modbus.PDU{4, 255, 255, 0, 1},
		modbus.PDU{1, 3, 16, 0, 24}, // its echo is an answer
		modbus.PDU{5, 0, 7, 255, 0}, modbus.PDU{6, 0, 7, 0, 42},
		modbus.PDU{15, 0, 7, 0, 2, 1, 1}, modbus.PDU{16, 0, 7, 0, 1, 2, 0, 42},
		modbus.PDU{7}, modbus.PDU{8, 0, 0, 1, 2}, modbus.PDU{8, 0, 11, 0, 0}, modbus.PDU{11}, modbus.PDU{12}, modbus.PDU{17},
		modbus.PDU{20, 7, 6, 0, 1, 0, 0, 0, 2}, modbus.PDU{22, 0, 7, 0, 1, 0, 1}, modbus.PDU{23, 3, 1, 0, 5, 0, 7, 0, 1, 2, 0, 42},
		modbus.PDU{24, 0, 7}, modbus.PDU{43, 14, 1, 0})
}

// tally is what became of the exchanges under one fault.
type tally struct {
	asked, good, refused, wrong int
	misplaced                   int           // exceptions to an earlier request
	damaged                     int           // answers overwritten
	slowest                     time.Duration // from the end of the fault to the next good answer
}

// TestFaultMatrix tries each fault on each kind of line. Give -frames=1000000
// and -v for the campaign and its table.
func TestFaultMatrix(t *testing.T) {
	results := make([]tally, len(lines)*len(rows))
	t.Run("on", func(t *testing.T) {
		for i, l := range lines {
			for j, r := range rows {
				t.Run(l.String()+"/"+r.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						n := i*len(rows) + j
						results[n] = try(t, l, r, rand.New(rand.NewPCG(*seed, uint64(n))))
					})
				})
			}
		}
	})
	var table strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&table, "\n%-36s %8s %8s %8s %6s %9s %10s %8s", l, "asked", "good", "refused", "wrong", "expected", "exceptions", "recovery")
		for j, r := range rows {
			n := results[i*len(rows)+j]
			fmt.Fprintf(&table, "\n%-36s %8d %8d %8d %6d %9.2g %10d %8v", r.name, n.asked, n.good, n.refused, n.wrong, r.expected(l, n), n.misplaced, n.slowest.Round(time.Millisecond))
		}
	}
	t.Logf("seed %d, %d frames%s", *seed, *frames, table.String())
}

// expected returns how many wrong values the checksum can't but let pass.
func (r row) expected(l line, n tally) float64 {
	if r.odds == nil {
		return 0
	}
	return r.odds(l) * float64(n.damaged)
}

// trial is one fault on one line.
type trial struct {
	*testing.T
	line
	row
	*bench
	requests []modbus.PDU
	client   *modbus.Client
	tally    tally
}

// try lets a fault come and go.
func try(t *testing.T, l line, r row, rng *rand.Rand) tally {
	b := &bench{language: l.language(), rng: rng, enron: l.enron, echo: r.echo, fault: clean}
	x := trial{T: t, line: l, row: r, bench: b, requests: l.requests(), client: modbus.NewClient(b, l.Framing, slow)}
	if l.enron {
		x.client.Speak(1, modbus.Enron())
	}
	if l.spare {
		x.client.Spare(1, func(_ modbus.FunctionCode, addr uint16, quantity int) bool {
			return addr < 1000 || int(addr)+quantity > 65530
		})
	}
	for b.n < *frames/len(lines)/len(rows) {
		if v := x.ask(); v != good {
			t.Fatalf("request %d: %v without a fault\n%+v", b.n, v, x.client.Counters())
		}
		b.fault = r.fault
		for range 1 + rng.IntN(4) {
			x.tally.count(x.ask())
		}
		x.recover()
	}
	x.tally.damaged = b.damaged
	x.check()
	return x.tally
}

// ask asks any of the requests.
func (x *trial) ask() verdict {
	req := x.requests[x.rng.IntN(len(x.requests))]
	a, err := x.client.Do(x.Context(), 1, req, timeout)
	v := x.judge(a, err)
	if v == wrong && x.odds == nil && !x.Failed() {
		x.Errorf("% X: % X, %v, want % X", []byte(req), []byte(a.PDU), err, x.truth)
	}
	return v
}

// recover ends the fault and asks until all is well again. What the unit owes
// then comes at once or never.
func (x *trial) recover() {
	x.bench.fault = clean
	if x.rng.IntN(2) == 0 {
		x.send(piece{0, bytes.Join(x.held, nil)})
	}
	x.held, x.lag = nil, 0
	for end := x.end(); ; time.Sleep(10 * time.Millisecond) {
		switch x.ask() {
		case wrong:
			x.tally.wrong++
		case good:
			x.tally.slowest = max(x.tally.slowest, time.Since(end))
			return
		}
	}
}

// check holds the results against what they have to be.
func (x *trial) check() {
	n, most := x.tally, x.expected(x.line, x.tally)
	if float64(n.wrong) > most+5*math.Sqrt(most) {
		x.Errorf("%d wrong values, %.2g are to be expected", n.wrong, most)
	}
	if n.misplaced > 1+n.asked/1000 {
		x.Errorf("%d exceptions to other requests", n.misplaced)
	}
	if x.fate == pass && n.good != n.asked || x.fate == fail && n.good > 0 {
		x.Errorf("%+v\n%+v", n, x.client.Counters())
	}
	if n.slowest > timeout {
		x.Errorf("a good answer only %v after the fault", n.slowest)
	}
}

// verdict is how one exchange ended.
type verdict uint8

const (
	refused verdict = iota
	good
	wrong
	misplaced // an exception that belongs to an earlier request
)

// judge compares what a client returns with the true answer to the last request.
func (b *bench) judge(a modbus.Answer, err error) verdict {
	e, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil && b.truth != nil && bytes.Equal(a.PDU, b.truth[1:]):
		return good
	case err == nil:
		return wrong
	case declined && b.truth != nil && b.truth[1]&0x80 != 0 && b.truth[2] == byte(e):
		return good
	case declined:
		return misplaced
	}
	return refused
}

func (n *tally) count(v verdict) {
	n.asked++
	switch v {
	case good:
		n.good++
	case wrong:
		n.wrong++
	case misplaced:
		n.misplaced++
	default:
		n.refused++
	}
}
