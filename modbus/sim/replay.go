package sim

import (
	"encoding/binary"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"skyhaul/modbus"
)

// ReplayOptions says how time turns into rows.
type ReplayOptions struct {
	Interval time.Duration // from row to row; 0 is as recorded
	Speed    float64       // divides every interval; 0 is 1
	Loop     bool          // begin again after the last row; else the last row stays

	// Served, if set, is told of every request and answer, in the order of
	// answering; it must not block.
	Served func(Served)
}

// Served is one request that a replay answered, and the row it answered from.
type Served struct {
	At      time.Time
	Unit    modbus.UnitID
	Row     int // from 0; counts on through every loop
	Request modbus.PDU
	Answer  modbus.PDU
}

// Replay serves a recording as units with holding registers. Its clock starts
// with the first request, which row 0 answers. One answer never mixes two rows.
// A read that touches an address without a point is answered by exception 02,
// one that touches an integer the recording has no value for by exception 04; a
// float without a value is NaN. Safe for concurrent use: several lines may
// serve one replay.
type Replay struct {
	rec   *Recording
	o     ReplayOptions
	units map[modbus.UnitID]map[uint16]int // unit, address: index in the row
	mu    sync.Mutex                       // guards start and the order of Served
	start time.Time
}

// NewReplay returns a replay of rec.
func NewReplay(rec *Recording, o ReplayOptions) *Replay {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	r := &Replay{rec: rec, o: o, units: make(map[modbus.UnitID]map[uint16]int)}
	word := 0
	for _, p := range rec.points {
		if r.units[p.Unit] == nil {
			r.units[p.Unit] = make(map[uint16]int)
		}
		for i := range types[p.Type].registers {
			r.units[p.Unit][p.Addr+uint16(i)] = word
			word++
		}
	}
	return r
}

// row returns the row that is served when elapsed has passed since the first
// request, counting on through every loop.
func (r *Replay) row(elapsed time.Duration) int {
	rows, d := r.rec.Rows(), time.Duration(float64(elapsed)*r.o.Speed)
	if r.o.Interval > 0 {
		row := int(d / r.o.Interval)
		if !r.o.Loop {
			row = min(row, rows-1)
		}
		return row
	}
	loops := 0
	if r.o.Loop && rows > 1 {
		period := 2*r.rec.offset(rows-1) - r.rec.offset(rows-2) // the last interval stands for the missing one
		loops, d = int(d/period), d%period
	}
	next := sort.Search(rows, func(i int) bool { return r.rec.offset(i) > d })
	return loops*rows + next - 1
}

// Handle answers a request as [modbus.Handler] wants it; no answer for a unit
// that the recording doesn't have.
func (r *Replay) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	registers, ok := r.units[unit]
	if !ok {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.start.IsZero() {
		r.start = now
	}
	row := r.row(now.Sub(r.start))
	answer := r.answer(registers, row%r.rec.Rows(), req)
	if r.o.Served != nil {
		r.o.Served(Served{now, unit, row, slices.Clone(req), slices.Clone(answer)})
	}
	return answer, true
}

// answer reads one row.
func (r *Replay) answer(registers map[uint16]int, row int, req modbus.PDU) modbus.PDU {
	q, err := modbus.ParseRequest(req)
	if e, bad := errors.AsType[modbus.Exception](err); bad {
		return e.Answer(req)
	}
	if q.Function != modbus.FuncReadHoldingRegisters {
		return modbus.IllegalFunction.Answer(req)
	}
	answer := modbus.PDU{byte(q.Function), byte(2 * q.Quantity)}
	for i := range q.Quantity {
		word, ok := registers[q.Addr+uint16(i)]
		if !ok {
			return modbus.IllegalDataAddress.Answer(req)
		}
		word += row * r.rec.width
		if _, empty := slices.BinarySearch(r.rec.empty, word); empty {
			return modbus.ServerDeviceFailure.Answer(req)
		}
		answer = binary.BigEndian.AppendUint16(answer, r.rec.words[word])
	}
	return answer
}
