package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// hours is the archive of the tests: a small ring.
var hours = Archive{
	ID: 900, Name: "hourly", Address: 701, First: 1, Records: 48,
	Index:    Index{Address: 7100},
	Layout:   layout("date float32 mmddyy", "time float32 hhmmss", "P float32 kPa", "T float32 degC", "volume float32 m3"),
	Interval: time.Hour,
}

// events is the log of the tests, with the entries of reference vectors.
var events = Log{
	ID: 901, Name: "events", Address: modbus.EnronLog, Ack: modbus.EnronLog,
	Layout: layout("what uint16 bits 9=operator 15=alarm", "register uint16", "time float32 hhmmss", "date float32 mmddyy", "old float32", "new float32"),
}

func layout(fields ...string) point.Layout {
	l, err := point.ParseLayout(fields)
	if err != nil {
		panic(err)
	}
	return l
}

// meter is an Enron flow computer.
type meter struct {
	modbus.Bank
	a       Archive
	now     time.Time // of its own clock, as if that were UTC
	count   int       // hours recorded
	acks    int
	loseAck bool // the next acknowledgement is obeyed, its answer lost
}

// began is when meters were put into service.
var began = time.Date(2026, 2, 27, 20, 0, 0, 0, time.UTC)

func newMeter(a Archive) *meter {
	m := &meter{a: a, now: began}
	m.Dialect = modbus.Enron()
	m.Archives.Log(modbus.EnronLog)
	m.point(0)
	return m
}

// point sets the index register.
func (m *meter) point(n int) {
	bits := math.Float32bits(float32(n))
	m.Set(modbus.HoldingRegisters, m.a.Index.Address, uint16(bits>>16), uint16(bits))
}

// number returns the number of the record of the n-th hour, from 0 on.
func (m *meter) number(n int) uint16 { return m.a.First + uint16(n%m.a.Records) }

// record is what is kept of an hour.
func record(at time.Time, volume float32) (b []byte) {
	date := int(at.Month())*10000 + at.Day()*100 + at.Year()%100
	clock := at.Hour()*10000 + at.Minute()*100 + at.Second()
	for _, v := range []float32{float32(date), float32(clock), 4000, 21.5, volume} {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// hour lets n hours pass.
func (m *meter) hour(n int) {
	for range n {
		m.now = m.now.Add(time.Hour)
		m.Archives.SetRecord(m.a.Address, m.number(m.count), record(m.now, float32(m.count)))
		m.count++
		next := m.count
		if !m.a.Index.Next {
			next--
		}
		m.point(int(m.number(next)))
	}
}

// entry is the n-th entry of the log.
func entry(n int) (b []byte) {
	b = binary.BigEndian.AppendUint16(b, 1<<9)
	b = binary.BigEndian.AppendUint16(b, 7007)
	for _, v := range []float32{float32(80000 + n%60), 30126, float32(n), float32(n + 1)} {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// site is all of an appliance but the harvester; what it has on disk outlives a crash.
type site struct {
	t     testing.TB
	meter *meter

	mu    sync.Mutex // guards the rest
	ram   [][]byte
	disk  [][]byte
	state map[string][]byte

	requests []string
	takes    time.Duration // how long a sync lasts, in a bubble
	syncErr  error
	saveErr  error
	reading  func() // called ahead of each request; nil for none

	// The power goes at step crash, from 1 on, before or after it is done.
	steps, crash int
	after, dead  bool
	stop         context.CancelFunc
}

var errDead = errors.New("no power")

func newSite(t testing.TB, m *meter) *site {
	return &site{t: t, meter: m, state: make(map[string][]byte)}
}

// step counts one thing done and reports whether it is.
func (s *site) step() bool {
	s.steps++
	if s.steps == s.crash {
		s.dead = true
		s.stop()
		return s.after
	}
	return !s.dead
}

func (s *site) Put(lane point.Lane, rec []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lane != point.Custody {
		s.t.Errorf("a record in lane %v", lane)
	}
	if s.step() {
		s.ram = append(s.ram, slices.Clone(rec))
	}
}

func (s *site) sync(context.Context) error {
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkOne()
	if !s.step() {
		return errDead
	}
	if s.syncErr != nil {
		return s.syncErr
	}
	s.disk = append(s.disk, s.ram...)
	s.ram = nil
	return nil
}

// checkOne fails where records of two archives wait for one sync.
func (s *site) checkOne() {
	ids := make(map[point.ID]bool)
	for _, rec := range s.ram {
		var a point.Archive
		if a.Decode(rec) == nil {
			ids[a.ID] = true
		}
	}
	if len(ids) > 1 && s.takes > 0 {
		s.t.Errorf("records of archives %v are put at once", slices.Collect(maps.Keys(ids)))
	}
}

func (s *site) Load(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.state[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (s *site) Save(name string, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return errDead
	}
	if s.saveErr != nil {
		return s.saveErr
	}
	s.state[name] = slices.Clone(b)
	return nil
}

func (s *site) Do(_ context.Context, c bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	if c != bus.Archive || unit != 3 {
		s.t.Errorf("class %d unit %d", c, unit)
	}
	s.requests = append(s.requests, fmt.Sprintf("% x", []byte(req)))
	if s.reading != nil {
		s.reading()
	}
	ack := req.Function() == modbus.FuncWriteCoil
	if ack && !s.step() {
		return modbus.Answer{}, errDead
	}
	resp, ok := s.meter.Handle(unit, req)
	if ack {
		s.meter.acks++
		if s.meter.loseAck || s.dead {
			s.meter.loseAck = false
			return modbus.Answer{}, modbus.ErrTimeout
		}
	}
	if !ok {
		return modbus.Answer{}, modbus.ErrTimeout
	}
	if resp[0]&0x80 != 0 {
		return modbus.Answer{}, modbus.Exception(resp[1])
	}
	return modbus.Answer{PDU: resp, Sent: time.Now()}, nil
}

func (s *site) harvester(spec Spec) *Harvester {
	s.t.Helper()
	h, err := New(spec, Options{
		Bus: s, Sink: s, Sync: s.sync, State: s, Logger: slog.New(slog.DiscardHandler),
		Now: func() point.Stamp { return point.Stamp{Boot: 1, Boottime: time.Hour, Wall: 1772000000000} },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// spec is the unit of the tests with an archive and, with a name, the log.
func spec(a Archive, l ...Log) Spec {
	s := Spec{Name: "meter 1", Unit: 3, Dialect: modbus.Enron(), Archives: []Archive{a}}
	if len(l) > 0 {
		s.Log = &l[0]
	}
	return s
}

// once makes a pass of every archive and the log and returns the first error.
func (s *site) once(h *Harvester) (err error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.stop = stop
	for _, t := range h.tasks {
		if e := t.pass(ctx); err == nil {
			err = e
		}
	}
	return err
}

// pass makes a pass that must succeed.
func (s *site) pass(h *Harvester) {
	s.t.Helper()
	if err := s.once(h); err != nil {
		s.t.Fatal(err)
	}
}

// records returns the records on disk, as they are decoded.
func (s *site) records() (all []point.Archive) {
	for _, rec := range s.disk {
		if point.KindOf(rec) != point.KindArchive {
			continue
		}
		var a point.Archive
		if err := a.Decode(rec); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// notes returns what the notes on disk say, but where the harvest begins.
func (s *site) notes() []string {
	return slices.DeleteFunc(s.allNotes(), func(text string) bool { return strings.Contains(text, "harvested from record") })
}

func (s *site) allNotes() (texts []string) {
	for _, rec := range s.disk {
		if point.KindOf(rec) != point.KindNote {
			continue
		}
		var n point.Note
		if err := n.Decode(rec); err != nil {
			s.t.Fatal(err)
		}
		if n.Topic != "archive" {
			s.t.Errorf("topic %q", n.Topic)
		}
		texts = append(texts, n.Text)
	}
	return texts
}

// checkNotes compares the notes with what each is to contain.
func (s *site) checkNotes(want ...string) {
	s.t.Helper()
	got := s.notes()
	if len(got) != len(want) {
		s.t.Fatalf("notes %q, want %q", got, want)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			s.t.Errorf("note %q, want %q", got[i], want[i])
		}
	}
}

// volumes returns the last number of each record: which hour it is of.
func volumes(all []point.Archive) (vs []int) {
	for i := range all {
		raw := all[i].Layout.Values(all[i].Raw)
		vs = append(vs, int(point.Float32.Float(raw[len(raw)-1])))
	}
	return vs
}

// span is the numbers from first to last.
func span(first, last int) (ns []int) {
	for n := first; n <= last; n++ {
		ns = append(ns, n)
	}
	return ns
}

func (s *site) checkVolumes(want []int) {
	s.t.Helper()
	if got := volumes(s.records()); !slices.Equal(got, want) {
		s.t.Errorf("records of hours %v, want %v", got, want)
	}
}
