package custody_test

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link"
	"skyhaul/link/batch"
	"skyhaul/link/tariff"
	"skyhaul/link/window"
)

var lanes = []point.Lane{point.Alarm, point.Custody, point.History}

// card is an appliance: what is on its flash, and what runs on it while it has
// power.
type card struct {
	w      *world
	dir    string
	window window.Window
	state  memory
	synced map[point.Lane]bufferstore.Seq // durable, as the last sync said
	count  uint64                         // scans, which makes each record different
	opened []bufferstore.Epoch

	store    *bufferstore.Store // nil without power
	uplink   *link.Uplink
	unsynced map[name]string
	off      func()
	until    time.Time // when power comes back
}

// boot gives power. What was durable must be there.
func (c *card) boot() {
	var err error
	o := bufferstore.Options{Codec: batch.NewChunkCodec(lookup), Quota: 1 << 30}
	for _, l := range lanes {
		o.Lanes = append(o.Lanes, bufferstore.LaneOptions{Name: l.String(), Retain: 10_000 * time.Hour})
	}
	if c.store, err = bufferstore.Open(c.dir, o); err != nil {
		c.w.t.Fatal(err)
	}
	c.opened = append(c.opened, c.store.Epoch())
	if q := c.store.Stats().Quarantined; len(q) > 0 {
		c.w.t.Errorf("set aside: %v", q)
	}
	ledger, err := link.OpenLedger(&c.state, "ledger", tariff.Plan{}, now)
	if err != nil {
		c.w.t.Fatal(err)
	}
	opt := link.Options{
		Site: siteID, Key: batch.SiteKey(master, siteID), Schemas: lookup, Window: c.window, Ledger: ledger,
		NewSession: c.w.broker.connectSite, Keeper: &c.state, MaxAge: maxAge, HoleAfter: holeAfter, Now: now,
	}
	for _, l := range lanes {
		lane := c.store.Lane(l.String())
		if got, want := lane.Durable(), c.synced[l]; got < want {
			c.w.t.Errorf("lane %s: %d durable after power came back, %d were before", l, got, want)
		}
		opt.Lanes = append(opt.Lanes, link.Source{Lane: l, Records: lane, Cursor: lane.Cursor("hub")})
	}
	c.uplink = link.New(opt)
	c.unsynced = make(map[name]string)
	c.run()
}

func (c *card) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{c.store.Run, c.uplink.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				c.w.t.Error(err)
			}
		})
	}
	c.off = func() {
		cancel()
		wg.Wait()
	}
}

// cut takes the power away for a time. What was not synced is gone.
func (c *card) cut(d time.Duration) {
	if c.store == nil {
		return
	}
	c.off()
	if err := c.store.Close(); err != nil {
		c.w.t.Error(err)
	}
	c.store = nil
	c.until = time.Now().Add(d)
}

// copy returns a card with the same content; this one is without power.
func (c *card) copy() *card {
	twin := &card{
		w: c.w, dir: c.w.t.TempDir(), window: c.window,
		synced: maps.Clone(c.synced), count: c.count + 1<<32, opened: slices.Clone(c.opened),
	}
	if err := os.CopyFS(twin.dir, os.DirFS(c.dir)); err != nil {
		c.w.t.Fatal(err)
	}
	return twin
}

// scan appends the records of one scan.
func (c *card) scan() {
	c.count++
	c.put(point.History, c.reading())
	if c.count%10 == 0 {
		c.put(point.Custody, c.reading())
	}
	if c.w.chance(0.01) {
		c.alarm()
	}
}

func (c *card) reading() []byte {
	sc := point.Scan{Schema: flows.ID(), Stamp: now(), Values: make([]uint64, 3), Quality: make([]point.Quality, 3)}
	sc.Values[0], sc.Values[1], sc.Values[2] = uint64(uint32(c.count)), uint64(c.w.n(1<<14)), uint64(c.w.n(2))
	return sc.Append(nil, flows)
}

func (c *card) alarm() {
	e := point.Event{Stamp: now(), Point: 1, Tag: "FT-1", Condition: "hihi", Active: true, Type: point.Float32, Raw: c.count}
	c.put(point.Alarm, e.Append(nil))
	c.sync()
	c.uplink.Wake()
}

func (c *card) put(l point.Lane, rec []byte) {
	seq := c.store.Lane(l.String()).Append(rec)
	c.unsynced[name{l, c.store.Epoch(), seq}] = string(rec)
}

func (c *card) sync() {
	if err := c.store.Sync(context.Background()); err != nil {
		c.w.t.Fatal(err)
	}
	for n, data := range c.unsynced {
		c.w.durable(n, data)
		c.synced[n.lane] = max(c.synced[n.lane], n.seq)
	}
	clear(c.unsynced)
}

// drained reports whether all that is durable is acked.
func (c *card) drained() bool {
	for _, l := range lanes {
		lane := c.store.Lane(l.String())
		if lane.Cursor("hub").Acked() != lane.Durable() {
			return false
		}
	}
	return true
}

// memory keeps small values.
type memory struct{ values map[string][]byte }

func (m *memory) Load(name string) ([]byte, error) {
	if p, ok := m.values[name]; ok {
		return p, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Save(name string, value []byte) error {
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[name] = bytes.Clone(value)
	return nil
}

// now is the stamp of a bubble's clock.
func now() point.Stamp {
	t := time.Now()
	return point.Stamp{Boot: 1, Boottime: t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), Wall: t.UnixMilli()}
}
