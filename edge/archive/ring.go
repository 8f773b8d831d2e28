package archive

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// ring harvests one archive.
type ring struct {
	*task
	a       Archive
	s       ringState // as it was saved, or ahead of it where saving failed
	unsaved bool      // s is ahead
	gone    bool      // the newest record of s isn't in the ring any more
	refused uint16    // the record that was last noted as refused
	old     uint16    // the older record that was compared last
}

func newRing(h *Harvester, a Archive) (*ring, error) {
	if a.Index.Type == 0 {
		a.Index.Type = point.Uint16
		if h.spec.Dialect.ItemBytes(modbus.FuncReadHoldingRegisters, a.Index.Address) == 4 {
			a.Index.Type = point.Float32
		}
	}
	switch {
	case a.Records < 2 || int(a.First)+a.Records > math.MaxUint16:
		return nil, fmt.Errorf("records %d to %d: want at least 2, and none over 65534", a.First, int(a.First)+a.Records-1)
	case h.spec.Dialect.ItemBytes(modbus.FuncReadHoldingRegisters, a.Address) != -1:
		return nil, fmt.Errorf("address %d is none of an archive in the unit's dialect", a.Address)
	case a.Index.quantity(h.spec.Dialect) == 0:
		return nil, fmt.Errorf("index register %d can't be a %v in the unit's dialect", a.Index.Address, a.Index.Type)
	}
	r := &ring{task: newTask(h, a.ID, a.Name, a.Kind, a.Layout, a.Every), a: a, old: a.First}
	r.task.pass = r.once
	r.s.seen = make(map[uint16]digest)
	r.load(r.s.parse)
	return r, nil
}

// quantity returns how many items the register has; 0 if it can't be read as its type.
func (x *Index) quantity(d modbus.Dialect) int {
	item := d.ItemBytes(modbus.FuncReadHoldingRegisters, x.Address)
	if item == 0 {
		item = 2
	}
	if !x.Type.Valid() || x.Type == point.Bool || item < 0 || x.Type.Size()%item != 0 {
		return 0
	}
	return x.Type.Size() / item
}

// next returns the number behind i.
func (r *ring) next(i uint16) uint16 {
	if int(i) >= int(r.a.First)+r.a.Records-1 {
		return r.a.First
	}
	return i + 1
}

// holds reports whether i is a number of the ring.
func (r *ring) holds(i int) bool { return i >= int(r.a.First) && i < int(r.a.First)+r.a.Records }

// ahead returns how many records there are from behind i up to newest.
func (r *ring) ahead(i, newest uint16) int {
	return (int(newest) - int(i) + r.a.Records) % r.a.Records
}

// once harvests what is new.
func (r *ring) once(ctx context.Context) error {
	if err := r.unstick(ctx); err != nil {
		return err
	}
	newest, any, err := r.pointer(ctx)
	if err != nil || !any {
		return err
	}
	n, err := r.fresh(ctx, newest)
	if err != nil {
		return err
	}
	if err := r.harvest(ctx, newest, n); err != nil {
		return err
	}
	if err := r.compare(ctx, newest); err != nil || !r.unsaved {
		return err
	}
	return r.store()
}

// pointer reads which record is the newest; any is false where none was written yet.
func (r *ring) pointer(ctx context.Context) (newest uint16, any bool, err error) {
	b, err := r.h.read(ctx, r.a.Index.Address, uint16(r.a.Index.quantity(r.h.spec.Dialect)))
	if err != nil {
		return 0, false, fmt.Errorf("read index: %w", err)
	}
	t := r.a.Index.Type
	raw := point.Layout{{Type: t}}.Values(b)
	if len(b) != t.Size() || len(raw) == 0 {
		return 0, false, fmt.Errorf("read index: % X is no %v", b, t)
	}
	v := t.Float(raw[0])
	first, last := int(r.a.First), int(r.a.First)+r.a.Records-1
	switch {
	case v == float64(first-1) && !r.a.Index.Next:
		return 0, false, nil
	case v != math.Trunc(v) || v < float64(first) || v > float64(last):
		return 0, false, fmt.Errorf("read index: register %d is %s, records are %d to %d", r.a.Index.Address, t.Format(raw[0]), first, last)
	case !r.a.Index.Next:
		return uint16(v), true, nil
	case int(v) == first:
		return uint16(last), true, nil
	}
	return uint16(v) - 1, true, nil
}

// fresh returns how many records up to newest may be new.
func (r *ring) fresh(ctx context.Context, newest uint16) (n int, err error) {
	if !r.s.begun || !r.holds(int(r.s.newest)) {
		return r.a.Records, nil
	}
	raw, err := r.h.read(ctx, r.a.Address, r.s.newest)
	if err != nil && !refusal(err) {
		return 0, fmt.Errorf("record %d: %w", r.s.newest, err)
	}
	if err == nil && digestOf(raw) == r.s.seen[r.s.newest] {
		return r.ahead(r.s.newest, newest), nil
	}
	when := r.h.clock.read(r.layout, raw)
	if err == nil && when.known() && when.local == r.s.when.local {
		return r.ahead(r.s.newest, newest), r.edited(ctx, r.s.newest, raw)
	}
	r.gone = true // the ring has gone round, or was cleared
	return r.a.Records, nil
}

// harvest reads the n records up to newest, the oldest first.
func (r *ring) harvest(ctx context.Context, newest uint16, n int) error {
	refused, last := 0, uint16(0)
	i := newest
	for range n {
		i = r.before(i)
	}
	for range n {
		i = r.next(i)
		raw, err := r.h.read(ctx, r.a.Address, i)
		if refusal(err) {
			refused, last = refused+1, i
			continue
		}
		if err == nil {
			err = r.take(ctx, i, raw)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	r.gone = false
	// A ring that isn't full yet may refuse what was never written.
	if refused == 0 || n == r.a.Records || last == r.refused {
		return nil
	}
	r.refused = last
	r.note("%d records were refused, the last of them number %d", refused, last)
	return r.commit(ctx)
}

// before is the inverse of next.
func (r *ring) before(i uint16) uint16 {
	if i <= r.a.First {
		return uint16(int(r.a.First) + r.a.Records - 1)
	}
	return i - 1
}

// take takes the next record in the order of the ring.
func (r *ring) take(ctx context.Context, i uint16, raw []byte) error {
	d := digestOf(raw)
	fresh := r.s.seen[i] != d && !blank(raw)
	when := r.h.clock.read(r.layout, raw)
	if fresh {
		r.follow(i, when)
		r.put(uint32(i), raw)
		if err := r.commit(ctx); err != nil {
			return err
		}
		r.gone = false
	}
	r.s.seen[i], r.unsaved = d, true
	if !blank(raw) || !r.s.begun {
		r.s.begun, r.s.newest, r.s.when = true, i, when
	}
	if !fresh {
		return nil
	}
	return r.store()
}

// follow says what is odd about the record i, put behind the newest one, and
// with which record the harvest begins: for the first time, or because what was
// remembered is gone.
func (r *ring) follow(i uint16, when reading) {
	later, interval := when.local-r.s.when.local, r.a.Interval.Milliseconds()
	pair := fmt.Sprintf("record %d of %v, then record %d of %v", r.s.newest, r.s.when, i, when)
	inOrder := i == r.next(r.s.newest)
	if !r.s.when.known() || !when.known() {
		later, interval = 1, 0 // nothing can be said of it
	}
	switch {
	case !r.s.begun:
		r.note("harvested from record %d of %v on", i, when)
	case later <= 0:
		r.note("the clock went back: %s", pair)
	case interval == 0 && (r.gone || !inOrder):
		r.note("records may be lost unread: %s", pair)
	case interval == 0 || later == interval && inOrder:
		return
	case r.gone && later > interval:
		r.note("records lost unread, %d of them: %s", later/interval-1, pair)
	case inOrder:
		r.note("the time jumps: %s", pair)
	default:
		r.note("the index jumps: %s", pair)
	}
}

// compare reads one older record and keeps what has become of it.
func (r *ring) compare(ctx context.Context, newest uint16) error {
	i := r.next(r.old)
	r.old = i
	if i == r.next(newest) {
		return nil // the next to be written: it may be so by now
	}
	raw, err := r.h.read(ctx, r.a.Address, i)
	if refusal(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record %d: %w", i, err)
	}
	known, ok := r.s.seen[i]
	when := r.h.clock.read(r.layout, raw)
	written := when.known() && r.s.when.known() && when.local > r.s.when.local // since the index was read
	switch {
	case ok && known == digestOf(raw), !ok && blank(raw), written:
		return nil
	case ok:
		return r.edited(ctx, i, raw)
	}
	return r.further(ctx, i, raw) // it was refused before
}

// edited keeps a further version of a record.
func (r *ring) edited(ctx context.Context, i uint16, raw []byte) error {
	r.note("record %d of %v has changed since it was read; both are kept", i, r.h.clock.read(r.layout, raw))
	return r.further(ctx, i, raw)
}

// further keeps a record out of the order of the ring.
func (r *ring) further(ctx context.Context, i uint16, raw []byte) error {
	r.put(uint32(i), raw)
	if err := r.commit(ctx); err != nil {
		return err
	}
	r.s.seen[i] = digestOf(raw)
	return r.store()
}

func (r *ring) store() error {
	err := r.save(r.s.append(nil))
	r.unsaved = err != nil
	if err != nil {
		return fmt.Errorf("save what was harvested: %w", err)
	}
	return nil
}

// blank reports whether a record was never written, or erased.
func blank(raw []byte) bool {
	return len(bytes.Trim(raw, "\x00")) == 0 || len(bytes.Trim(raw, "\xff")) == 0
}
