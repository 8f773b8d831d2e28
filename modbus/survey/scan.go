package survey

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/tap"
)

// Port is a serial port that can be opened with any settings. It is closed
// before it is opened again.
type Port func(context.Context, Settings) (modbus.Conn, error)

// Options says what to scan.
type Options struct {
	Settings []Settings      // in the order to try
	Units    []modbus.UnitID // likewise
	Timeout  time.Duration   // silence granted for an answer; 0 is 100 ms
	Listen   time.Duration   // how long to listen for other clients; 0 is 1.5 s, less is not at all

	// Progress, unless nil, is told of each request before it is sent.
	Progress func(Progress)
}

// Progress is how far a scan is.
type Progress struct {
	Settings    Settings
	Unit        modbus.UnitID // 0 while listening
	Done, Total int           // requests
	Left        time.Duration // about
	Found       []modbus.UnitID
}

const (
	defaultTimeout = 100 * time.Millisecond
	defaultListen  = 1500 * time.Millisecond
	slowTimeout    = 600 * time.Millisecond // for a unit that was heard late
	lateBy         = 6                      // requests after which an answer may still come
	linger         = 250 * time.Millisecond
	firstUnits     = 4 // that are asked at all settings before the rest is
	repeats        = 4 // requests to a unit that was found or heard
	talk           = 4 // bytes in a silent line that are more than a switched transceiver
)

// scan is a scan at work.
type scan struct {
	o     Options
	port  Port
	began time.Time
	done  int
	total int

	report  Report
	spoke   map[Settings]*reaction
	unasked int // bytes without a request
}

// Scan looks for units on a line: it listens whether another client talks, and
// asks the units at all settings until one answers. The error is that of the
// port, or of ctx; what can be wrong with a line is in the report.
func Scan(ctx context.Context, port Port, o Options) (Report, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Listen == 0 {
		o.Listen = defaultListen
	}
	s := &scan{o: o, port: port, began: time.Now(), total: len(o.Settings) * len(o.Units), spoke: map[Settings]*reaction{}}
	if busy, err := s.listen(ctx); busy || err != nil {
		return s.report, err
	}
	if err := s.search(ctx); err != nil {
		return s.report, err
	}
	if err := s.askAgain(ctx); err != nil {
		return s.report, err
	}
	return s.conclude(), nil
}

// search asks a few units at all settings and then the rest, until one answers;
// at its settings it asks all.
func (s *scan) search(ctx context.Context) error {
	n := min(firstUnits, len(s.o.Units))
	first, rest := s.o.Units[:n], s.o.Units[n:]
	for _, set := range s.o.Settings {
		found, err := s.try(ctx, set, first)
		if err != nil {
			return err
		}
		if found {
			s.total = s.done + len(rest)
			_, err = s.try(ctx, set, rest)
			return err
		}
	}
	for _, set := range s.o.Settings {
		if found, err := s.try(ctx, set, rest); found || err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) tell(set Settings, unit modbus.UnitID) {
	if s.o.Progress == nil {
		return
	}
	p := Progress{Settings: set, Unit: unit, Done: s.done, Total: s.total, Found: s.report.ids()}
	if s.done > 0 {
		p.Left = time.Duration(float64(time.Since(s.began)) / float64(s.done) * float64(s.total-s.done))
	}
	s.o.Progress(p)
}

// line is a port open at some settings.
type line struct {
	set    Settings
	conn   modbus.Conn
	client *modbus.Client
	heard  []byte // since the last request, echoes included
}

func (s *scan) open(ctx context.Context, set Settings) (*line, error) {
	conn, err := s.port(ctx, set)
	if err != nil {
		return nil, err
	}
	l := &line{set: set}
	l.conn = tap.NewConn(conn, time.Now(), func(c tap.Chunk) {
		if c.Direction == tap.Received {
			l.heard = append(l.heard, c.Bytes...)
		}
	})
	l.client = modbus.NewClient(l.conn, set.Framing, set.Timing())
	return l, nil
}

// probe is the request that every unit understands: it reads one register or
// declines that.
func probe() modbus.PDU {
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, 1)
	if err != nil {
		panic(err) // the request above is right
	}
	return req
}

// try asks units at some settings, and those that answer some more.
func (s *scan) try(ctx context.Context, set Settings, units []modbus.UnitID) (found bool, err error) {
	if len(units) == 0 {
		return false, nil
	}
	l, err := s.open(ctx, set)
	if err != nil {
		return false, err
	}
	defer l.conn.Close()
	r := s.spoke[set]
	if r == nil {
		r = &reaction{units: map[modbus.UnitID]bool{}}
		s.spoke[set] = r
	}
	before := len(s.report.Units)
	var slow []modbus.UnitID // may answer late
	for i, unit := range units {
		s.tell(set, unit)
		stray, err := s.ask(ctx, l, r, unit, s.o.Timeout)
		if err != nil {
			return false, err
		}
		s.done++
		if stray {
			slow = append(slow, units[max(0, i-lateBy):i+1]...)
		}
	}
	more, err := l.listenOn(ctx, linger)
	if err != nil {
		return false, err
	}
	if more > talk {
		slow = append(slow, units[max(0, len(units)-lateBy):]...)
	}
	if !r.everywhere() {
		err = s.askSlowly(ctx, l, r, slow)
	}
	return len(s.report.Units) > before, err
}

// askSlowly asks once more, with patience, the units that may answer late.
func (s *scan) askSlowly(ctx context.Context, l *line, r *reaction, units []modbus.UnitID) error {
	slices.Sort(units)
	l.client = modbus.NewClient(l.conn, l.set.Framing, l.set.Timing()) // one that owes nothing
	for _, unit := range slices.Compact(units) {
		if slices.Contains(s.report.ids(), unit) {
			continue
		}
		s.tell(l.set, unit)
		if _, err := s.ask(ctx, l, r, unit, slowTimeout); err != nil {
			return err
		}
	}
	return nil
}

// ask sends the probe to a unit and some more requests if it answers. It
// reports whether bytes came that were not the answer.
func (s *scan) ask(ctx context.Context, l *line, r *reaction, unit modbus.UnitID, timeout time.Duration) (stray bool, err error) {
	before := l.client.Counters()
	l.heard = nil
	s.report.Requests++
	_, err = l.client.Do(ctx, unit, probe(), timeout)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	_, declined := errors.AsType[modbus.Exception](err)
	ok := err == nil || declined
	if !ok && !errors.Is(err, modbus.ErrTimeout) && !errors.Is(err, modbus.ErrDamaged) {
		return false, err
	}
	stray = r.note(unit, l.heard, int(l.client.Counters().EchoBytes-before.EchoBytes), ok)
	if ok {
		return stray, s.confirm(ctx, l, unit, slowTimeout)
	}
	return stray, nil
}

// confirm asks a unit that answered some more, and listens behind each answer
// for another one.
func (s *scan) confirm(ctx context.Context, l *line, unit modbus.UnitID, timeout time.Duration) error {
	f := Found{Unit: unit}
	var silence time.Duration
	var read int // answers that are no exception
	for i := range repeats {
		req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, 1+i%2)
		if err != nil {
			return err
		}
		f.Asked++
		l.heard = nil
		// One that owes nothing, and needs no separators.
		client := modbus.NewClient(l.conn, l.set.Framing, l.set.Timing())
		a, err := client.Do(ctx, unit, req, timeout)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, declined := errors.AsType[modbus.Exception](err)
		switch {
		case err == nil || declined:
			f.Intact++
			if err == nil {
				read++
				silence += max(0, a.FirstByte-l.set.Timing().Wire(8+1))
			}
		case errors.Is(err, modbus.ErrDamaged):
			f.Damaged++
		case !errors.Is(err, modbus.ErrTimeout):
			return err
		}
		more, err := l.listenOn(ctx, s.o.Timeout)
		if err != nil {
			return err
		}
		if more > talk {
			f.Damaged++
		}
	}
	if read > 0 {
		f.Turnaround = silence / time.Duration(read)
	}
	s.report.Settings = l.set
	s.report.Units = append(s.report.Units, f)
	return nil
}

// listenOn returns how many bytes come within a time.
func (l *line) listenOn(ctx context.Context, d time.Duration) (n int, err error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	buf := make([]byte, 256)
	for ctx.Err() == nil {
		k, err := l.conn.Read(buf)
		n += k
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return n, nil
		case err != nil:
			return n, err
		}
	}
	return n, context.Cause(ctx)
}

// askAgain asks the few units whose requests alone were followed by bytes, at
// the settings where they were: whether they stay garbled tells why. Once
// units have answered, only their settings matter.
func (s *scan) askAgain(ctx context.Context) error {
	for _, set := range s.o.Settings {
		r := s.spoke[set]
		if r == nil || r.everywhere() || len(s.report.Units) > 0 && set != s.report.Settings {
			continue
		}
		if err := s.confirmAll(ctx, set, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) confirmAll(ctx context.Context, set Settings, r *reaction) error {
	units := slices.Sorted(maps.Keys(r.units))
	if len(units) == 0 {
		return nil
	}
	l, err := s.open(ctx, set)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	for _, unit := range units {
		if slices.Contains(s.report.ids(), unit) {
			continue
		}
		if err := s.confirm(ctx, l, unit, 2*s.o.Timeout); err != nil {
			return err
		}
	}
	return nil
}
