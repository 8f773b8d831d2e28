package survey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"skyhaul/modbus"
)

// Identity is what a unit says of itself, and how.
type Identity struct {
	Unit      modbus.UnitID
	Functions []Function
	Objects   []modbus.Object // of function 43/14
	ServerID  []byte          // of function 17
	Status    uint8           // of function 7, where that is answered

	// MaxRegisters and MaxBits are the greatest reads that work; 0 where that
	// was not tried or nothing works.
	MaxRegisters, MaxBits int

	// Order is the order of words that most registers look like, with the
	// reason; "" where nothing can be said.
	Order, OrderReason string

	Turnaround time.Duration // mean time from the end of a request to the answer
}

// Function is a function that was tried.
type Function struct {
	Code modbus.FunctionCode
	Err  error // nil: answered; else a [modbus.Exception], [modbus.ErrTimeout] or [modbus.ErrDamaged]
}

// IdentifyOptions says what to try beside asking.
type IdentifyOptions struct {
	Timing modbus.LineTiming // of the line, to tell turnaround from wire time
	Addr   uint16            // where the unit has registers
	Limits bool              // look for the greatest reads
}

// absent is how many requests, to read each table, a unit that is there does not
// leave without any answer.
const absent = 4

// Identify asks a unit what it is and which functions it answers; it writes
// nothing. The error is that of the first request if the unit answers no read.
func Identify(ctx context.Context, ask Ask, unit modbus.UnitID, o IdentifyOptions) (Identity, error) {
	i := &identifying{ask: ask, o: o, id: Identity{Unit: unit}}
	for _, step := range i.steps() {
		if err := i.try(ctx, step); err != nil {
			return i.id, err
		}
		if i.answers == 0 && len(i.id.Functions) == absent {
			return i.id, i.id.Functions[0].Err
		}
	}
	if i.timed > 0 {
		i.id.Turnaround /= time.Duration(i.timed)
	}
	i.order(ctx)
	if o.Limits {
		i.id.MaxRegisters = i.limit(ctx, modbus.MaxReadRegisters, modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters)
		i.id.MaxBits = i.limit(ctx, modbus.MaxReadBits, modbus.FuncReadCoils, modbus.FuncReadDiscreteInputs)
	}
	return i.id, context.Cause(ctx)
}

// identifying is an Identify at work.
type identifying struct {
	ask     Ask
	o       IdentifyOptions
	id      Identity
	answers int // exceptions included
	timed   int // answers in the mean of turnarounds
}

// step is a request and what takes its answer.
type step struct {
	request modbus.PDU
	take    func(modbus.PDU)
}

func (i *identifying) steps() []step {
	var list []step
	add := func(req modbus.PDU, take func(modbus.PDU)) { list = append(list, step{req, take}) }
	nothing := func(modbus.PDU) {}
	for _, fc := range []modbus.FunctionCode{modbus.FuncReadCoils, modbus.FuncReadDiscreteInputs, modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters} {
		if req, err := modbus.ReadRequest(fc, i.o.Addr, 1); err == nil {
			add(req, nothing)
		}
	}
	add(modbus.ReadExceptionStatus(), func(p modbus.PDU) { i.id.Status, _ = modbus.ExceptionStatus(p) })
	add(modbus.Diagnose(modbus.DiagLoopback, 0xA55A), nothing)
	add(modbus.GetEventCounter(), nothing)
	add(modbus.ReportServerID(), func(p modbus.PDU) { i.id.ServerID, _ = modbus.ServerID(p) })
	add(modbus.ReadIdentity(modbus.BasicIdentity, 0), nothing)
	return list
}

// try sends a request. It fails only where the connection or ctx ends.
func (i *identifying) try(ctx context.Context, s step) error {
	a, err := i.ask(ctx, i.id.Unit, s.request)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, declined := errors.AsType[modbus.Exception](err)
	silent := errors.Is(err, modbus.ErrTimeout) || errors.Is(err, modbus.ErrDamaged)
	if err != nil && !declined && !silent {
		return err
	}
	fc := s.request.Function()
	i.id.Functions = append(i.id.Functions, Function{fc, err})
	if err == nil || declined {
		i.answers++
	}
	if err != nil {
		return nil
	}
	s.take(a.PDU)
	i.id.Turnaround += max(0, a.FirstByte-i.o.Timing.Wire(len(s.request)+4))
	i.timed++
	if fc == modbus.FuncReadDeviceIdentity {
		i.id.Objects = i.objects(ctx)
	}
	return nil
}

// objects asks for all that the unit says of itself, or for less if it declines.
func (i *identifying) objects(ctx context.Context) []modbus.Object {
	for _, access := range []modbus.Access{modbus.ExtendedIdentity, modbus.RegularIdentity, modbus.BasicIdentity} {
		os, err := modbus.Identify(func(req modbus.PDU) (modbus.PDU, error) {
			a, err := i.ask(ctx, i.id.Unit, req)
			return a.PDU, err
		}, access)
		if err == nil {
			return os
		}
	}
	return nil
}

// answered reports whether a function was answered with what was asked for.
func (d *Identity) answered(fc modbus.FunctionCode) bool {
	for _, f := range d.Functions {
		if f.Code == fc {
			return f.Err == nil
		}
	}
	return false
}

// limit finds the greatest quantity that one of two functions serves.
func (i *identifying) limit(ctx context.Context, most int, fcs ...modbus.FunctionCode) int {
	for _, fc := range fcs {
		if !i.id.answered(fc) {
			continue
		}
		low, high := 1, most+1 // low works, high does not
		for q := most; high-low > 1; q = (low + high) / 2 {
			if i.serves(ctx, fc, q) {
				low = q
			} else {
				high = q
			}
		}
		return low
	}
	return 0
}

func (i *identifying) serves(ctx context.Context, fc modbus.FunctionCode, quantity int) bool {
	req, err := modbus.ReadRequest(fc, i.o.Addr, quantity)
	if err != nil {
		return false
	}
	_, err = i.ask(ctx, i.id.Unit, req)
	return err == nil
}

// hinted is how many registers are looked at for the order of words.
const hinted = 40

// order looks at the registers from the address on.
func (i *identifying) order(ctx context.Context) {
	for _, fc := range []modbus.FunctionCode{modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters} {
		if !i.id.answered(fc) {
			continue
		}
		last := min(int(i.o.Addr)+hinted, 1<<16) - 1
		blocks, err := readable(ctx, i.ask, i.id.Unit, fc, int(i.o.Addr), last)
		if err != nil && len(blocks) == 0 {
			continue
		}
		if i.id.Order, i.id.OrderReason = orderHint(blocks); i.id.Order != "" {
			return
		}
	}
}

// clearly is how many floats speak for an order, and how many times more than
// for any other.
const clearly = 2

// orderHint says in which order most pairs of registers look like a float. It
// looks at even addresses, where values usually begin: at odd ones the second
// half of a value and the first of the next look like a float of another order.
func orderHint(blocks []Block) (order, reason string) {
	votes := map[string]int{}
	for _, b := range blocks {
		for _, r := range Readings(b.Registers) {
			if r.Mark == Likely && r.Encoding.kind.name == "float32" && (int(b.Addr)+r.Offset)%2 == 0 {
				votes[r.Encoding.Order()]++
			}
		}
	}
	var best, second int
	for _, o := range orders[2] {
		switch n := votes[o]; {
		case n > best:
			order, best, second = o, n, best
		case n > second:
			second = n
		}
	}
	if best < clearly || best < clearly*second {
		return "", ""
	}
	return order, fmt.Sprintf("%d values at even wire addresses look like a float in this order, %d in the next best", best, second)
}

// Text puts what a unit says of itself on one line; "" if it says nothing.
func (d *Identity) Text() string {
	var words []string
	for _, o := range d.Objects {
		if o.ID <= modbus.UserApplicationName && o.ID != modbus.VendorURL && strings.TrimSpace(o.Value) != "" {
			words = append(words, strings.TrimSpace(o.Value))
		}
	}
	if len(words) > 0 {
		return strings.Join(words, ", ")
	}
	return strings.TrimSpace(printable(d.ServerID))
}

// printable returns the ASCII characters in b, if there are enough to read.
func printable(b []byte) string {
	var text strings.Builder
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			text.WriteByte(c)
		}
	}
	if text.Len() < 3 {
		return ""
	}
	return text.String()
}
