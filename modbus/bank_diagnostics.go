package modbus

import (
	"encoding/binary"
	"slices"
	"sync"
)

// BusCounters are what function 8 tells of a line and a unit. They wrap at
// 65535. V1.1b3, section 6.8.1.
type BusCounters struct {
	BusMessages    uint16 // intact messages on the line, of other units as well
	BusErrors      uint16 // messages with a wrong checksum
	BusExceptions  uint16 // exceptions answered
	ServerMessages uint16 // requests to the unit, broadcasts included
	NoResponse     uint16 // of these, not answered
	NAK            uint16 // exceptions 07 answered
	Busy           uint16 // exceptions 06 answered
	Overruns       uint16 // characters lost on reception
}

// Diagnostics is the part of a unit that answers functions 7, 8, 11 and 12. It
// counts and logs the requests that the unit is asked; the zero value has not
// been asked any. Safe for concurrent use.
type Diagnostics struct {
	mu       sync.Mutex // guards the rest
	status   uint8
	register uint16
	counters BusCounters
	events   uint16
	log      []byte // the latest first
	silent   bool   // listen-only mode
}

// SetStatus sets the bits that function 7 answers.
func (d *Diagnostics) SetStatus(bits uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = bits
}

// SetRegister sets the diagnostic register that sub-function 2 answers.
func (d *Diagnostics) SetRegister(v uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.register = v
}

// Count changes the counters: what a unit can't know but who serves its line
// does, such as wrong checksums. It must return at once.
func (d *Diagnostics) Count(change func(*BusCounters)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.counters)
}

// The events of a unit that declines with exceptions 01 to 03 only. V1.1b3,
// section 6.10.
const (
	eventRestart    = 0x00
	eventListenOnly = 0x04
	eventReceived   = 0x80 // and:
	eventBroadcast  = 0x40
	eventSilent     = 0x20 // in listen-only mode
	eventSent       = 0x40 // and:
	eventException  = 0x01
)

// note logs an event.
func (d *Diagnostics) note(event byte) {
	d.log = slices.Insert(d.log, 0, event)
	d.log = d.log[:min(len(d.log), maxEvents)]
}

// watch lets answer answer a request and keeps the books about it.
func (d *Diagnostics) watch(unit UnitID, req PDU, answer func(PDU) PDU) (resp PDU, ok bool) {
	silent := d.received(unit)
	if silent && !DiagRestart.asks(req) {
		d.Count(func(c *BusCounters) { c.NoResponse++ })
		return nil, false
	}
	resp = answer(req)
	_, declined := resp.exception()
	ok = !silent && (declined || !DiagListenOnly.asks(req))
	d.sent(resp, ok && unit != Broadcast)
	if !ok {
		return nil, false
	}
	return resp, true
}

// received counts a request and reports whether the unit only listens.
func (d *Diagnostics) received(unit UnitID) (silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counters.BusMessages++
	d.counters.ServerMessages++
	event := byte(eventReceived)
	if unit == Broadcast {
		event |= eventBroadcast
	}
	if d.silent {
		event |= eventSilent
	}
	d.note(event)
	return d.silent
}

// sent counts the end of a request; answered tells whether resp is sent.
func (d *Diagnostics) sent(resp PDU, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, declined := resp.exception()
	if !declined && resp.Function() != FuncGetEventCounter {
		d.events++
	}
	if !answered {
		d.counters.NoResponse++
		return
	}
	event := byte(eventSent)
	if declined {
		d.counters.BusExceptions++
		event |= eventException
	}
	d.note(event)
}

// answer answers a request of function 7, 8, 11 or 12.
func (d *Diagnostics) answer(r Request) (PDU, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := PDU{byte(r.Function)}
	switch r.Function {
	case FuncReadExceptionStatus:
		return append(p, d.status), nil
	case FuncDiagnostics:
		data, err := d.diagnose(Diagnostic(binary.BigEndian.Uint16(r.Data)), r.Data[2:])
		return append(append(p, r.Data[:2]...), data...), err
	case FuncGetEventLog:
		p = append(p, byte(6+len(d.log)), 0, 0)
		p = appendRegisters(p, []uint16{d.events, d.counters.ServerMessages})
		return append(p, d.log...), nil
	}
	return appendRegisters(append(p, 0, 0), []uint16{d.events}), nil
}

// diagnose obeys a sub-function and returns the data of its answer.
func (d *Diagnostics) diagnose(sub Diagnostic, data []byte) ([]byte, error) {
	if sub == DiagLoopback {
		return data, nil
	}
	value := binary.BigEndian.Uint16(data)
	switch {
	case sub == DiagRestart && value == coilOn:
		d.log = nil
	case sub == DiagDelimiter && value&0xFF == 0: // which no framing here heeds
	case value != 0:
		return nil, IllegalDataValue
	}
	switch sub {
	case DiagRestart:
		d.counters, d.events, d.silent = BusCounters{}, 0, false
		d.note(eventRestart)
	case DiagListenOnly:
		d.silent = true
		d.note(eventListenOnly)
	case DiagClear:
		d.counters, d.events, d.register = BusCounters{}, 0, 0
	case DiagClearOverruns:
		d.counters.Overruns = 0
	case DiagDelimiter:
	default:
		v, ok := d.value(sub)
		if !ok {
			return nil, IllegalFunction
		}
		return binary.BigEndian.AppendUint16(nil, v), nil
	}
	return data, nil
}

// value returns what a sub-function reads.
func (d *Diagnostics) value(sub Diagnostic) (v uint16, ok bool) {
	c := d.counters
	switch sub {
	case DiagRegister:
		return d.register, true
	case DiagBusMessages:
		return c.BusMessages, true
	case DiagBusErrors:
		return c.BusErrors, true
	case DiagBusExceptions:
		return c.BusExceptions, true
	case DiagServerMessages:
		return c.ServerMessages, true
	case DiagServerNoResponse:
		return c.NoResponse, true
	case DiagServerNAK:
		return c.NAK, true
	case DiagServerBusy:
		return c.Busy, true
	case DiagOverruns:
		return c.Overruns, true
	}
	return 0, false
}
