package sim

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"skyhaul/modbus"
)

// wire is the units' end of a port that carries bytes no faster than its line:
// what the client wrote at once is read when a line would have delivered it,
// and what is written leaves byte by byte.
type wire struct {
	*flow // received
	line  *Line
	port  modbus.Conn
	came  chan struct{}   // after each arrival
	done  <-chan struct{} // ends every wait
	unit  modbus.UnitID   // that answers; the server's goroutine alone uses it
	away  time.Duration   // for which a fault hung the port up; to be read when the server has ended

	mu      sync.Mutex // guards the rest
	rxEnd   time.Time  // when the last received byte ended on the line
	txEnd   time.Time  // when the last sent byte ended
	sending bool
	garbled bool // the client talked into what is being sent
}

func newWire(l *Line, port modbus.Conn, done <-chan struct{}) *wire {
	return &wire{flow: newFlow(), line: l, port: port, came: make(chan struct{}, 1), done: done}
}

// listen stamps what comes in, until the port is closed.
func (w *wire) listen() {
	defer w.flow.Close()
	buf := make([]byte, 512)
	for {
		n, err := w.port.Read(buf)
		if err != nil {
			return
		}
		w.receive(buf[:n], time.Now())
	}
}

func (w *wire) receive(bytes []byte, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sending {
		w.garbled = true
		w.line.count(func(c *Counters) { c.Collisions++ })
		return
	}
	if w.txEnd.After(w.rxEnd) && at.Sub(w.txEnd) < w.line.t35 {
		w.line.count(func(c *Counters) { c.Early++ })
	}
	if at.Before(w.rxEnd) {
		at = w.rxEnd // the line still carries what came before
	}
	w.rxEnd = at.Add(w.line.carry(len(bytes)))
	w.flow.write(bytes, w.rxEnd)
	select {
	case w.came <- struct{}{}:
	default:
	}
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.flow.Read(p)
	if n > 0 && w.line.echoes() {
		w.port.Write(p[:n])
	}
	return n, err
}

var errHungUp = errors.New("simulated hang-up")

// Handle answers as the line's units do, and keeps which one did.
func (w *wire) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	w.unit = unit
	return w.line.Handle(unit, req)
}

// Write sends one frame as an answer: after silence and turnaround, at the pace
// of the line, spoiled as the faults say.
func (w *wire) Write(frame []byte) (int, error) {
	f := w.line.faultsOf(w.unit)
	if w.line.rolls(f.HangUp) {
		w.away = cmp.Or(f.Away, time.Second)
		return 0, errHungUp
	}
	if w.line.rolls(f.Late) {
		w.hold(f.LateBy)
	}
	if err := w.send(w.line.spoiled(frame, f), w.start()); err != nil {
		return 0, err
	}
	w.line.count(func(c *Counters) { c.Answers++ })
	return len(frame), nil
}

// hold keeps a late answer back for d, or until the next request came in.
func (w *wire) hold(d time.Duration) {
	if d > 0 {
		w.sleepUntil(time.Now().Add(d))
		return
	}
	select {
	case <-w.came: // by the request that is being answered
	default:
	}
	select {
	case <-w.came:
	case <-w.done:
	}
}

// start returns when an answer may leave.
func (w *wire) start() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	start := w.rxEnd.Add(w.line.t35 + w.line.turnaround(w.unit))
	if now := time.Now(); start.Before(now) {
		return now
	}
	return start
}

// send writes bytes when the last bit of each has passed a line that began at
// start. These times are absolute, so waking late doesn't add up.
func (w *wire) send(bytes []byte, start time.Time) error {
	w.sleepUntil(start)
	w.setSending(true)
	defer w.setSending(false)
	char, step := w.line.char, len(bytes)
	if char > 0 {
		step = 1 + int(time.Millisecond/char) // no use in waking more often
	}
	for sent := 0; sent < len(bytes); {
		next := min(sent+step, len(bytes))
		w.sleepUntil(start.Add(time.Duration(next) * char))
		if err := w.put(bytes[sent:next]); err != nil {
			return err
		}
		sent = next
	}
	w.line.carry(len(bytes))
	return nil
}

func (w *wire) setSending(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending, w.garbled = on, false
}

// put lets the client have what passed the line, inverted if it talked into it.
func (w *wire) put(bytes []byte) error {
	w.mu.Lock()
	w.txEnd = time.Now() // before the client can have seen it
	if w.garbled {
		for i := range bytes {
			bytes[i] ^= 0xFF
		}
	}
	w.mu.Unlock()
	_, err := w.port.Write(bytes)
	return err
}

// sleepUntil returns at t, or when done.
func (w *wire) sleepUntil(t time.Time) {
	wait := time.Until(t)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.done:
	}
}

// Close closes the port as well.
func (w *wire) Close() error {
	w.flow.Close()
	return w.port.Close()
}
