package sim

import (
	"cmp"
	"errors"
	"slices"
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

	// The server's goroutine alone uses these.
	unit         modbus.UnitID // that answers
	answer, twin modbus.PDU    // twin is that of another unit with this id; nil if there is none
	away         time.Duration // for which a fault hung the port up; to be read when the server has ended

	mu      sync.Mutex // guards the rest
	rxEnd   time.Time  // when the last received byte ended on the line
	txEnd   time.Time  // when the last sent byte ended
	sending bool
	garbled bool    // somebody talked into what is being sent
	own     []chunk // what the client will hear of its own sending

	out sync.Mutex // keeps what goes to the port in order
}

func newWire(l *Line, port modbus.Conn, done <-chan struct{}) *wire {
	return &wire{flow: newFlow(), line: l, port: port, came: make(chan struct{}, 1), done: done}
}

// client returns the settings of the client. Where they aren't known, they fit.
func (w *wire) client() LineSettings {
	port, tells := w.port.(interface{ clientSettings() LineSettings })
	if !tells || w.line.o.Settings.Baud == 0 {
		return w.line.settings
	}
	return port.clientSettings().or(w.line.settings)
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
		if n > 0 {
			w.receive(buf[:n], time.Now())
		}
		w.put(nil)
	}
}

func (w *wire) receive(bytes []byte, at time.Time) {
	client := w.client()
	took := w.line.lasts(client.Timing().Wire(len(bytes)))
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
	w.rxEnd = later(at, w.rxEnd).Add(took) // the line may still carry what came before
	w.line.count(func(c *Counters) { c.Busy += took })
	w.hearSelf(bytes)
	w.deliver(w.line.atUnits(bytes, client), w.rxEnd)
}

// deliver lets the units have bytes; w.mu is held.
func (w *wire) deliver(bytes []byte, due time.Time) {
	if len(bytes) > 0 {
		w.flow.write(bytes, due)
	}
	select {
	case w.came <- struct{}{}:
	default:
	}
}

// hearSelf has the client hear what its own sending leaves in its receiver;
// w.mu is held.
func (w *wire) hearSelf(bytes []byte) {
	var heard []byte
	f := w.line.lineFaults()
	if f.Echo {
		heard = slices.Clone(bytes)
	}
	if f.Swapped {
		heard = append(heard, 0) // when it lets go, the silence of the line is low: a break
	}
	if heard == nil {
		return
	}
	w.own = append(w.own, chunk{heard, w.rxEnd})
	if wait := time.Until(w.rxEnd); wait > 0 {
		time.AfterFunc(wait, func() { w.put(nil) })
	}
}

// Handle answers as the line's units do, and keeps what they say.
func (w *wire) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	answer, ok := w.line.Handle(unit, req)
	w.unit, w.answer, w.twin = unit, slices.Clone(answer), nil
	if w.line.o.Twins == nil {
		return answer, ok
	}
	twin, both := w.line.o.Twins.Handle(unit, req)
	switch {
	case ok && both:
		w.twin = slices.Clone(twin)
		w.line.count(func(c *Counters) { c.Collisions++ })
	case both:
		w.answer = slices.Clone(twin)
		return twin, true
	}
	return answer, ok
}

var errHungUp = errors.New("simulated hang-up")

// Write sends the answer that a frame holds: after silence and turnaround, at
// the pace of the line, spoiled as the faults say.
func (w *wire) Write(frame []byte) (int, error) {
	f := w.line.faultsOf(w.unit)
	if w.line.rolls(f.HangUp) {
		w.away = cmp.Or(f.Away, time.Second)
		return 0, errHungUp
	}
	if w.line.rolls(f.Late) {
		w.hold(f.LateBy)
	}
	answer := w.line.timed(w.line.spoiled(w.unit, w.answer, f), f)
	start := w.start()
	w.sleepUntil(start)
	if !w.begin(false) {
		return len(frame), nil
	}
	defer w.end()
	if err := w.send(answer, w.twinAnswer(f), start); err != nil {
		return 0, err
	}
	w.line.count(func(c *Counters) { c.Answers++ })
	return len(frame), nil
}

// twinAnswer returns what another unit says at the same time, which begins up
// to a character later.
func (w *wire) twinAnswer(f Faults) []char {
	if w.twin == nil {
		return nil
	}
	cs := w.line.timed(w.line.spoiled(w.unit, w.twin, f), f)
	delay(cs, w.line.skew())
	return cs
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
	return later(time.Now(), w.rxEnd.Add(w.line.t35+w.line.turnaround(w.unit)))
}

// begin takes the line for sending. If another has it, both are lost, unless
// the one that comes is polite.
func (w *wire) begin(polite bool) (ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	busy := w.sending || now.Before(w.rxEnd)
	if polite && (busy || now.Before(later(w.rxEnd, w.txEnd).Add(w.line.t35))) {
		return false
	}
	if busy {
		w.line.count(func(c *Counters) { c.Collisions++ })
		w.flow.spoil()
	}
	if w.sending {
		w.garbled = true
		return false
	}
	w.sending, w.garbled = true, busy
	return true
}

// end gives the line back.
func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = false
}

// send writes what the client receives when the line carries cs from start on,
// and others over them, each byte when its last bit has passed. These times are
// absolute, so waking late doesn't add up.
func (w *wire) send(cs, over []char, start time.Time) error {
	w.line.count(func(c *Counters) { c.Busy += w.line.lasts(cs[len(cs)-1].end) })
	cs = w.line.atClient(cs, over, w.client())
	for len(cs) > 0 {
		n := 1
		for n < len(cs) && w.line.lasts(cs[n].end-cs[0].end) <= time.Millisecond { // no use in waking more often
			n++
		}
		w.sleepUntil(start.Add(w.line.lasts(cs[n-1].end)))
		if err := w.put(bytesOf(cs[:n])); err != nil {
			return err
		}
		cs = cs[n:]
	}
	return nil
}

// put lets the client have what it heard of itself, and then what passed the
// line, inverted if somebody talked into it.
func (w *wire) put(bytes []byte) error {
	w.out.Lock()
	defer w.out.Unlock()
	w.mu.Lock()
	now := time.Now()
	var all []byte
	for len(w.own) > 0 && !now.Before(w.own[0].due) {
		all = append(all, w.own[0].bytes...)
		w.own = w.own[1:]
	}
	if len(bytes) > 0 {
		w.txEnd = now // before the client can have seen it
	}
	if w.garbled {
		invert(bytes)
	}
	w.mu.Unlock()
	all = append(all, bytes...)
	if len(all) == 0 {
		return nil
	}
	_, err := w.port.Write(all)
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

func (w *wire) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// Close closes the port as well.
func (w *wire) Close() error {
	w.flow.Close()
	return w.port.Close()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
