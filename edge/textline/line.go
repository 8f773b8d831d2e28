package textline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"skyhaul/modbus"
)

// Options describes a line of such instruments.
type Options struct {
	Dial func(context.Context) (modbus.Conn, error) // opens the port
	// Instruments are all asked, or all send on their own: a late answer could not
	// be told from what another says by itself.
	Instruments map[modbus.UnitID]*Instrument
	Framing     Framing
	Timeout     time.Duration // longest wait for a line that was asked for; 0 is 1 s
	Log         *slog.Logger  // nil logs nothing
}

const (
	usualMaxAge = 2 * time.Second
	writeTime   = 5 * time.Second // for a request on the slowest line
	heldLines   = 64              // that came while nobody asked; older ones are dropped
)

// Dial returns a function that opens the port and answers Modbus/TCP for its
// instruments: function 3 reads their fields, see [Address], everything else is
// declined. An instrument that doesn't answer is silent as a unit.
//
// Lines carry nothing that names their request. A request is therefore not sent
// before the one before was answered or its time-out has passed, and after a
// time-out not before the port has been silent for as long again.
func Dial(o Options) func(context.Context) (modbus.Conn, error) {
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	deaf := new(atomic.Bool)
	return func(ctx context.Context) (modbus.Conn, error) {
		if o.Mixed() {
			return nil, errMixed
		}
		port, err := o.Dial(ctx)
		if err != nil {
			return nil, err
		}
		near, far := net.Pipe()
		c := &conn{Conn: near, port: port}
		s := &session{o: o, port: port, lines: make(chan line, heldLines), latest: map[modbus.UnitID]reading{}, deaf: deaf}
		c.running.Go(func() {
			defer far.Close() // the client sees that the port is gone
			s.listen()
		})
		c.running.Go(func() {
			_ = modbus.Serve(context.Background(), far, modbus.TCP, modbus.LineTiming{}, s)
		})
		return c, nil
	}
}

var errMixed = errors.New("instruments that are asked and such that send on their own share a line")

// Mixed reports whether some of the instruments are asked and others are not:
// such a line is never opened.
func (o *Options) Mixed() bool {
	asked := 0
	for _, in := range o.Instruments {
		if in.Request != nil {
			asked++
		}
	}
	return asked > 0 && asked < len(o.Instruments)
}

// conn is the client's end.
type conn struct {
	net.Conn
	port    modbus.Conn
	running sync.WaitGroup
}

// Close gives the port back.
func (c *conn) Close() error {
	_ = c.Conn.Close() // a pipe has nothing to say
	err := c.port.Close()
	c.running.Wait()
	return err
}

// line is a line of text and when its end came.
type line struct {
	text []byte
	at   time.Time
}

// reading is what an instrument said last.
type reading struct {
	values []float64
	at     time.Time
}

// session is one connection. What listen doesn't use belongs to Handle, which
// is called by one goroutine.
type session struct {
	o       Options
	port    modbus.Conn
	lines   chan line // closed when the port is gone
	gone    bool
	latest  map[modbus.UnitID]reading
	asked   atomic.Bool  // a request was sent
	owing   bool         // a request was not answered in time
	strange []byte       // the last line that means nothing
	why     error        // and why not
	deaf    *atomic.Bool // nothing else comes, and that was told; of all connections
}

// listen cuts what the port brings into lines until it is closed or gone.
func (s *session) listen() {
	defer close(s.lines)
	f := newFramer(s.o.Framing)
	buf := make([]byte, 512)
	for first := true; ; first = false {
		n, err := s.port.Read(buf)
		if first && s.asked.Load() {
			f.lost = false // nothing came before the request: this is its answer
		}
		f.feed(buf[:n], func(text []byte) {
			l := line{slices.Clone(text), time.Now()}
			for {
				select {
				case s.lines <- l:
					return
				default:
				}
				select {
				case <-s.lines: // nobody reads them
				default:
				}
			}
		})
		if err != nil {
			return
		}
	}
}

// Handle answers for the instruments.
func (s *session) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	in := s.o.Instruments[unit]
	if in == nil {
		return nil, false
	}
	r, err := modbus.ParseRequest(req)
	switch {
	case err != nil || r.Function != modbus.FuncReadHoldingRegisters:
		return modbus.IllegalFunction.Answer(req), true
	case int(r.Addr)+r.Quantity > Registers*len(in.Fields):
		return modbus.IllegalDataAddress.Answer(req), true
	}
	values := s.read(unit, in)
	if values == nil {
		return nil, false
	}
	var registers []byte
	for _, v := range values {
		registers = binary.BigEndian.AppendUint64(registers, math.Float64bits(v))
	}
	answer := modbus.PDU{req[0], byte(2 * r.Quantity)}
	return append(answer, registers[2*r.Addr:2*(int(r.Addr)+r.Quantity)]...), true
}

// read returns what an instrument says; nil if it is silent.
func (s *session) read(unit modbus.UnitID, in *Instrument) []float64 {
	s.drain()
	oldest := time.Now()
	if in.Request == nil {
		oldest = oldest.Add(-cmp.Or(in.MaxAge, usualMaxAge))
	} else if !s.ask(in) {
		return nil
	}
	deadline := time.NewTimer(s.o.Timeout)
	defer deadline.Stop()
	for {
		if last, ok := s.latest[unit]; ok && !last.at.Before(oldest) {
			s.hears()
			return last.values
		}
		select {
		case l, open := <-s.lines:
			if !open {
				s.gone = true
				return nil
			}
			s.take(l, unit)
		case <-deadline.C:
			s.owing = s.owing || in.Request != nil
			s.hearsNothing(unit)
			return nil
		}
	}
}

// ask sends the request of an instrument.
func (s *session) ask(in *Instrument) bool {
	if s.owing {
		s.settle()
	}
	if s.gone || s.port.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
		return false
	}
	s.asked.Store(true)
	_, err := s.port.Write(in.Request)
	return err == nil
}

// drain takes in the lines that came while nobody asked.
func (s *session) drain() {
	for !s.gone {
		select {
		case l, open := <-s.lines:
			s.gone = !open
			if open {
				s.take(l, 0)
			}
		default:
			return
		}
	}
}

// settle waits until the line has been silent for a time-out, but not for ever.
func (s *session) settle() {
	for range 10 {
		select {
		case l, open := <-s.lines:
			if !open {
				s.gone = true
				return
			}
			s.take(l, 0)
		case <-time.After(s.o.Timeout):
			s.owing = false
			return
		}
	}
}

// take gives a line to the instrument that was asked, or to the one of those
// that send on their own that it fits.
func (s *session) take(l line, asked modbus.UnitID) {
	for _, unit := range s.candidates(asked) {
		in := s.o.Instruments[unit]
		values, err := in.Parse(l.text)
		if err == nil {
			s.latest[unit] = reading{values, l.at}
			return
		}
		if in.Request != nil && bytes.Equal(l.text, bytes.TrimRight(in.Request, "\r\n")) {
			return // an echo
		}
		s.strange, s.why = l.text, err
	}
}

// candidates returns the units that a line may be of: what comes while nobody is
// asked is of no instrument that wants to be.
func (s *session) candidates(asked modbus.UnitID) (units []modbus.UnitID) {
	for _, unit := range slices.Sorted(maps.Keys(s.o.Instruments)) {
		if unit == asked || s.o.Instruments[unit].Request == nil {
			units = append(units, unit)
		}
	}
	return units
}

func (s *session) hears() {
	if s.deaf.CompareAndSwap(true, false) {
		s.o.Log.Info("lines of text are understood again")
	}
}

// hearsNothing tells, once, what came in place of the line that was waited for.
// Lines of other kinds beside it are nobody's concern.
func (s *session) hearsNothing(unit modbus.UnitID) {
	if s.strange != nil && s.deaf.CompareAndSwap(false, true) {
		s.o.Log.Warn("lines of text are not understood", "unit", unit, "last", string(s.strange[:min(len(s.strange), 120)]), "err", s.why)
	}
	s.strange = nil
}
