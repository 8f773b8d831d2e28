package sim

import (
	"time"

	"skyhaul/modbus"
)

// Poller is another client on the line, which asks on its own account. It waits
// until the line has been silent for 3.5 characters, but not for the answer to
// a request that isn't its own.
type Poller struct {
	Unit    modbus.UnitID
	Request modbus.PDU
	Every   time.Duration // from the begin of one request to that of the next; divided by Speed
}

// poll asks until the line is done.
func (w *wire) poll(p Poller) {
	every := max(w.line.sped(p.Every), time.Millisecond)
	request := w.line.settings.chars(frame(w.line.o.Framing, p.Unit, p.Request))
	for next := time.Now().Add(every); ; next = next.Add(every) {
		w.sleepUntil(next)
		for !w.ended() && !w.begin(true) {
			w.sleepUntil(time.Now().Add(max(w.line.t35, time.Millisecond)))
		}
		if w.ended() || w.ask(request) != nil {
			return
		}
	}
}

// ask sends a request that units and client hear.
func (w *wire) ask(request []char) error {
	err := w.send(request, nil, time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = false
	if !w.garbled {
		w.rxEnd = time.Now()
		w.deliver(bytesOf(request), w.rxEnd)
	}
	return err
}
