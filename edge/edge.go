package edge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/config"
	"skyhaul/edge/archive"
	"skyhaul/edge/clock"
	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/edge/stable"
	"skyhaul/link"
	"skyhaul/link/batch"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/serial"
)

// Options are what a daemon is made of.
type Options struct {
	Config *config.Config
	Dir    string // of state and buffer; the only place written to
	Clock  *clock.Clock
	State  *stable.Dir
	// Credentials is the folder that credential:NAME in the configuration
	// points into.
	Credentials string
	Version     string
	// Tick is called by each part, see Deadlines, whenever it has come round; nil
	// for none.
	Tick   func(part string)
	Logger *slog.Logger
}

// Daemon is the appliance: it scans, keeps and forwards.
type Daemon struct {
	opts     Options
	log      *slog.Logger
	started  time.Time
	store    *bufferstore.Store
	schemas  *Schemas
	lines    []*line
	scanners []*scanner
	harvests []*archive.Harvester
	doors    []*door
	keeper   *keeper
	thinner  *thinner
	ledger   *link.Ledger // nil without an uplink
	uplink   *link.Uplink // nil without an uplink
}

// line is a line or endpoint with its configuration.
type line struct {
	carrier
	turnaround func(modbus.UnitID) time.Duration // nil where nothing is asked
	config     *config.Line
	dialled    atomic.Pointer[error]       // how the last dial ended
	port       atomic.Pointer[serial.Port] // opened last; nil for an endpoint
}

// carrier carries requests: a *bus.Line, or a *listen.Line where another client
// owns the line.
type carrier interface {
	scan.Bus
	Run(ctx context.Context) error
	Stats() bus.Stats
}

// scanner is a scan group with its configuration.
type scanner struct {
	*scan.Scanner
	group *config.Group
}

// New puts a daemon together. It opens the store, for which it can't do
// without; everything else that may be missing is a state, told by Snapshot.
// Close must be called in the end.
func New(o Options) (*Daemon, error) {
	if o.Tick == nil {
		o.Tick = func(string) {}
	}
	d := &Daemon{opts: o, log: o.Logger, started: time.Now()}
	var err error
	if d.schemas, err = OpenSchemas(o.State, d.log); err != nil {
		return nil, err
	}
	var key []byte
	if file := o.Config.Buffer.KeyFile; file != "" {
		if key, err = BufferKey(file, o.Credentials); err != nil {
			return nil, ConfigError{fmt.Errorf("[buffer] key_file: %w", err)}
		}
	}
	d.store, err = OpenStore(o.Config, o.Dir, key, d.schemas, d.log)
	if errors.Is(err, bufferstore.ErrKey) {
		return nil, ConfigError{fmt.Errorf("[buffer] key_file: %w", err)}
	}
	if err != nil {
		return nil, err
	}
	if err := d.connect(); err != nil {
		d.store.Close()
		return nil, err
	}
	return d, nil
}

// connect wires the parts: lines -> scanners -> keeper -> store -> uplink.
func (d *Daemon) connect() error {
	d.keeper = newKeeper(d)
	d.thinner = newThinner(d)
	d.opts.Clock.OnStep = func(s clock.Step) {
		d.log.Warn("wall clock stepped", "by", s.By)
		d.note("clock", fmt.Sprintf("stepped by %v", s.By))
	}
	for i := range d.opts.Config.Lines {
		d.lines = append(d.lines, d.newLine(&d.opts.Config.Lines[i]))
	}
	for i := range d.opts.Config.Groups {
		g := &d.opts.Config.Groups[i]
		l := d.line(g.Line)
		s := scan.New(g.Group, scan.Options{
			Bus: l, Sink: d.keeper, Now: d.opts.Clock.Now,
			Tick: func() { d.opts.Tick(PartScan) }, Logger: d.log.With("group", g.Name),
			Turnaround: l.turnaround, Memory: d.opts.State, MemoryName: learntName(g),
		})
		for _, schema := range s.Schemas() {
			if err := d.schemas.keep(schema); err != nil {
				return err
			}
		}
		d.scanners = append(d.scanners, &scanner{s, g})
	}
	for i := range d.opts.Config.Harvests {
		if err := d.connectHarvest(&d.opts.Config.Harvests[i]); err != nil {
			return err
		}
	}
	d.connectGateways()
	if d.opts.Config.Uplink == nil {
		return nil
	}
	return d.connectUplink(d.opts.Config.Uplink)
}

// learntName names what a group learns of its units among the state.
func learntName(g *config.Group) string {
	sum := sha256.Sum256([]byte(g.Line + "\x00" + g.Name))
	return fmt.Sprintf("learnt-%x", sum[:8])
}

// Run works until ctx ends, then stops the parts in the order of doc.go and
// returns nil, or what ended a part that should not have ended.
func (d *Daemon) Run(ctx context.Context) error {
	asked := ctx
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	store := newStage(ctx, fail)
	store.start(d.store.Run)
	store.start(d.opts.Clock.Run)
	uplink := newStage(ctx, fail)
	if d.uplink != nil {
		uplink.start(d.uplink.Run)
	}
	keeping := newStage(ctx, fail)
	keeping.start(d.keeper.Run)
	d.note("start", fmt.Sprintf("version %s configuration %x", d.opts.Version, d.opts.Config.Hash))
	acquiring := newStage(ctx, fail)
	acquiring.start(d.thinner.Run)
	for _, l := range d.lines {
		acquiring.start(l.Run)
	}
	for _, s := range d.scanners {
		acquiring.start(s.Run)
	}
	for _, h := range d.harvests {
		acquiring.start(h.Run)
	}
	for _, g := range d.doors {
		acquiring.start(func(ctx context.Context) error { return d.serve(ctx, g) })
	}

	<-ctx.Done()
	acquiring.stop()
	keeping.stop()
	uplink.stop()
	store.stop()
	if asked.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// Close gives the store back. Run must have returned.
func (d *Daemon) Close() error { return d.store.Close() }

// note writes an entry for the auditor.
func (d *Daemon) note(topic, text string) {
	n := point.Note{Stamp: d.opts.Clock.Now(), Topic: topic, Text: text}
	d.keeper.Put(point.Message, n.Append(nil))
}

func (d *Daemon) line(name string) *line {
	for _, l := range d.lines {
		if l.config.Name == name {
			return l
		}
	}
	return nil
}

// OpenStore opens the buffer in dir, under a key or nil, as the daemon does.
func OpenStore(c *config.Config, dir string, key []byte, s *Schemas, log *slog.Logger) (*bufferstore.Store, error) {
	o := bufferstore.Options{Codec: batch.NewChunkCodec(s.Lookup), Quota: c.Buffer.Quota, Key: key, Logger: log}
	for _, l := range point.Lanes() {
		lane := bufferstore.LaneOptions{Name: l.String(), Policy: bufferstore.Keep, Retain: c.Buffer.Retain[l]}
		if l == point.History || l == point.Trend {
			lane.Policy = c.Buffer.WhenFull
		}
		o.Lanes = append(o.Lanes, lane)
	}
	store, err := bufferstore.Open(filepath.Join(dir, "buffer"), o)
	if err != nil {
		return nil, fmt.Errorf("open buffer: %w", err)
	}
	return store, nil
}
