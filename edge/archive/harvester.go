package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

const (
	usualEvery = 5 * time.Minute
	// rest is how long the harvest of a unit leaves the line alone after an
	// exchange, in terms of that exchange: it takes a tenth of the line at most,
	// whatever the speed, so that polls keep their rate.
	rest = 9
)

// Harvester harvests one unit. Its methods are safe for concurrent use.
type Harvester struct {
	spec  Spec // immutable once set, as are o, clock and tasks
	o     Options
	clock clock
	tasks []*task

	line    turn      // of who uses the line; guards free
	free    time.Time // when the next exchange may begin
	keeping turn      // of who puts and syncs
}

// turn is had by one at a time. It is a mutex that gives up when a context ends.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// task is one archive or log.
type task struct {
	h      *Harvester
	id     point.ID
	name   string
	kind   point.ArchiveKind
	layout point.Layout
	every  time.Duration
	pass   func(ctx context.Context) error

	ready [][]byte // records for the next commit
	stuck bool     // records were put that no sync has made durable

	mu     sync.Mutex // guards status
	status Status
}

// Status is how the harvest of an archive or log stands.
type Status struct {
	Name    string
	Records uint64    // put since the start
	Newest  time.Time // of the newest record put, by the instrument's clock; zero where that can't be read
	Err     error     // why the last pass failed; nil after a good one
}

// New returns a harvester that Run starts. It fails where the spec can't work.
func New(s Spec, o Options) (*Harvester, error) {
	s.Location = cmp.Or(s.Location, time.UTC)
	h := &Harvester{spec: s, o: o, clock: clock{s.Location, s.DayStart}, line: newTurn(), keeping: newTurn()}
	for _, a := range s.Archives {
		r, err := newRing(h, a)
		if err != nil {
			return nil, fmt.Errorf("archive %q of unit %q: %w", a.Name, s.Name, err)
		}
		h.tasks = append(h.tasks, r.task)
	}
	if s.Log != nil {
		j, err := newJournal(h, *s.Log)
		if err != nil {
			return nil, fmt.Errorf("log %q of unit %q: %w", s.Log.Name, s.Name, err)
		}
		h.tasks = append(h.tasks, j.task)
	}
	return h, nil
}

func newTask(h *Harvester, id point.ID, name string, kind point.ArchiveKind, l point.Layout, every time.Duration) *task {
	return &task{h: h, id: id, name: name, kind: kind, layout: l, every: cmp.Or(every, usualEvery), status: Status{Name: name}}
}

// Run harvests until ctx ends, and then returns nil.
func (h *Harvester) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, t := range h.tasks {
		wg.Go(func() { t.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Status returns how each archive stands, the log last.
func (h *Harvester) Status() (all []Status) {
	for _, t := range h.tasks {
		t.mu.Lock()
		all = append(all, t.status)
		t.mu.Unlock()
	}
	return all
}

// run makes a pass each interval until ctx ends.
func (t *task) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := t.pass(ctx)
		if ctx.Err() != nil {
			return
		}
		t.report(err)
		sleep(ctx, t.every)
	}
}

// report logs when passes begin to fail and when they no longer do.
func (t *task) report(err error) {
	t.mu.Lock()
	before := t.status.Err
	t.status.Err = err
	t.mu.Unlock()
	log := t.h.o.Logger.With("unit", t.h.spec.Name, "archive", t.name)
	switch {
	case err != nil && before == nil:
		log.Warn("archive can't be harvested", "err", err)
	case err == nil && before != nil:
		log.Info("archive is harvested again")
	}
}

// do asks the unit when the line may be used again.
func (h *Harvester) do(ctx context.Context, req modbus.PDU) (modbus.Answer, error) {
	if err := h.line.take(ctx); err != nil {
		return modbus.Answer{}, err
	}
	defer h.line.give()
	sleep(ctx, time.Until(h.free))
	a, err := h.o.Bus.Do(ctx, bus.Archive, h.spec.Unit, req)
	h.free = time.Now().Add(rest * a.Total)
	return a, err
}

// read returns what a read of holding registers gives: for an archive the
// quantity is the number of a record.
func (h *Harvester) read(ctx context.Context, addr, quantity uint16) ([]byte, error) {
	req, err := h.spec.Dialect.ReadRequest(modbus.FuncReadHoldingRegisters, addr, int(quantity))
	if err != nil {
		return nil, err
	}
	a, err := h.do(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(a.PDU) < 2 || int(a.PDU[1]) != len(a.PDU)-2 {
		return nil, fmt.Errorf("read of address %d: % X is no answer", addr, []byte(a.PDU))
	}
	return a.PDU[2:], nil
}

// refusal reports whether the unit answered that it doesn't have what was asked for.
func refusal(err error) bool {
	e, ok := errors.AsType[modbus.Exception](err)
	return ok && (e == modbus.IllegalDataAddress || e == modbus.IllegalDataValue)
}

// put makes a record as it was read ready for the next commit.
func (t *task) put(index uint32, raw []byte) {
	when := t.h.clock.read(t.layout, raw)
	a := point.Archive{
		Stamp: t.h.o.Now(), Kind: t.kind, ID: t.id, Source: t.h.spec.Name, Name: t.name, Index: index,
		Time: when.utc, TimeQuality: when.quality, Zone: t.h.spec.Location.String(), DayStart: t.h.spec.DayStart,
		Layout: t.layout, Raw: raw,
	}
	t.ready = append(t.ready, a.Append(nil))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Records++
	if when.known() {
		t.status.Newest = time.UnixMilli(when.utc).UTC()
	}
}

// note makes a remark for the auditor ready, beside the records.
func (t *task) note(format string, args ...any) {
	text := fmt.Sprintf("unit %q archive %q: ", t.h.spec.Name, t.name) + fmt.Sprintf(format, args...)
	n := point.Note{Stamp: t.h.o.Now(), Topic: "archive", Text: text}
	t.ready = append(t.ready, n.Append(nil))
	t.h.o.Logger.Info("note beside the archive", "unit", t.h.spec.Name, "archive", t.name, "note", text)
}

// commit puts what is ready and makes it durable. One archive does so at a time:
// what a sync says is then of its records.
func (t *task) commit(ctx context.Context) error {
	if err := t.h.keeping.take(ctx); err != nil {
		return err
	}
	defer t.h.keeping.give()
	for _, rec := range t.ready {
		t.h.o.Sink.Put(point.Custody, rec)
	}
	t.ready = nil
	err := t.h.o.Sync(ctx)
	t.stuck = err != nil
	if err != nil {
		return fmt.Errorf("keep records: %w", err)
	}
	return nil
}

// unstick ends a pass before it puts the same records once more into a store
// that does not take them.
func (t *task) unstick(ctx context.Context) error {
	if !t.stuck {
		return nil
	}
	return t.commit(ctx)
}

func (t *task) stateName() string { return fmt.Sprintf("archive-%d", t.id) }

// load reads what an earlier run saved. What can't be read begins anew: all is
// harvested again, and the hub knows it for what it is.
func (t *task) load(parse func([]byte) error) {
	b, err := t.h.o.State.Load(t.stateName())
	if err == nil {
		err = parse(b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.h.o.Logger.Warn("archive is harvested from the beginning", slog.Any("err", err), "unit", t.h.spec.Name, "archive", t.name)
	}
}

func (t *task) save(b []byte) error { return t.h.o.State.Save(t.stateName(), b) }

// sleep returns after d or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
