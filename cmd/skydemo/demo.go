package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"skyhaul/config"
	"skyhaul/edge"
	"skyhaul/edge/clock"
	"skyhaul/edge/stable"
	"skyhaul/edge/status"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
	"skyhaul/link/linksim"
	"skyhaul/link/mqtt"
	"skyhaul/link/window"
	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

//go:embed testdata
var testdata embed.FS

// The shape of the demo at speed 1.
const (
	site       = "demo"
	baud       = 9600
	interval   = time.Second
	every      = 15 * time.Second // windows ...
	open       = 6 * time.Second  // ... and how long they stay open
	delay      = 300 * time.Millisecond
	upRate     = 64_000 / 8  // bytes a second
	downRate   = 256_000 / 8 // bytes a second
	turnaround = 5 * time.Millisecond
)

// recordings are replayed by a unit each, on a line of its own.
var recordings = []string{"rig1s", "comp10s"}

// master is the hub's key in the demo; the site's derives from it.
var master = bytes.Repeat([]byte{0x5a}, 32)

// demo is the whole system.
type demo struct {
	dir      string
	speed    float64
	config   *config.Config
	database string
	log      *slog.Logger
	windows_ window.Window
	started  time.Time
	billed   int64

	world *world // all but the appliance

	mu     sync.Mutex
	daemon *edge.Daemon // guarded by mu
	last   status.Snapshot
}

// world is what runs around the appliance until it is cancelled.
type world struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	sink   *sqlite.Sink
	broker *broker
}

func (w *world) start(ctx context.Context, run func(context.Context) error, log *slog.Logger) {
	w.wg.Go(func() {
		if err := run(ctx); err != nil {
			log.Error("demo", "err", err)
		}
	})
}

// newDemo starts everything but the appliance.
func newDemo(ctx context.Context, dir string, speed float64, stderr io.Writer) (*demo, error) {
	d := &demo{
		dir: dir, speed: speed, database: filepath.Join(dir, "hub.db"),
		log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	w, err := window.NewEvery(d.fast(every), d.fast(open), 0)
	if err != nil {
		return nil, err
	}
	d.windows_ = w
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.world = &world{cancel: cancel}
	if err := d.build(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// fast divides a time by the speed.
func (d *demo) fast(t time.Duration) time.Duration {
	return time.Duration(float64(t) / d.speed)
}

// build starts units, broker, link and hub, and writes the configuration.
func (d *demo) build(ctx context.Context) (err error) {
	for _, name := range recordings {
		line, err := d.units(name)
		if err != nil {
			return err
		}
		d.world.start(ctx, line.Run, d.log)
	}
	if d.world.broker, err = startBroker(); err != nil {
		return err
	}
	relay, err := linksim.Listen(linksim.Options{
		Target: d.world.broker.addr, Delay: d.fast(delay),
		UpRate: int(upRate * d.speed), DownRate: int(downRate * d.speed), OnClose: linksim.BlackHole,
		Schedule: func(now time.Time) (bool, time.Time) { s := d.windows_.At(now); return s.Open, s.Until },
	})
	if err != nil {
		return err
	}
	d.world.start(ctx, relay.Run, d.log)
	if d.world.sink, err = sqlite.Open(ctx, d.database); err != nil {
		return err
	}
	receiver := hub.New(hub.Options{
		Sink: d.world.sink, Fleet: d.world.sink, Master: master, Logger: d.log,
		Connect: func(filters []string) hub.Session {
			return mqtt.New(mqtt.Options{
				Dial: mqtt.DialTCP(d.world.broker.addr), ClientID: "skyhub", KeepAlive: time.Minute,
				SessionExpiry: time.Hour, Subscribe: filters,
				ReceiveMaximum: 65535, // mochi v2.7.9 can lock itself up when it reaches a smaller one
			})
		},
	})
	d.world.start(ctx, receiver.Run, d.log)
	d.config, err = d.configure(relay.Addr())
	return err
}

// units serves a recording on a pty.
func (d *demo) units(name string) (*sim.Line, error) {
	points, err := testdata.Open("testdata/" + name + ".map.json")
	if err != nil {
		return nil, err
	}
	defer points.Close()
	layout, err := sim.ReadMap(points)
	if err != nil {
		return nil, err
	}
	rows, err := testdata.Open("testdata/" + name + ".csv.zst")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	rec, err := sim.ReadRecording(rows, layout)
	if err != nil {
		return nil, err
	}
	return sim.NewLine(sim.Options{
		Open:       sim.PTY(d.port(name)),
		Units:      sim.NewReplay(rec, sim.ReplayOptions{Interval: interval, Speed: d.speed, Loop: true}),
		Timing:     modbus.LineTiming{Bit: time.Second / baud, CharBits: 10},
		Turnaround: turnaround, Speed: d.speed,
	}), nil
}

func (d *demo) port(recording string) string { return filepath.Join(d.dir, "tty-"+recording) }

// configure writes the files that a user would, and loads them. What the files
// can't say, because it is faster than any site, is set after.
func (d *demo) configure(broker string) (*config.Config, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "[site]\nid = %q\ndisplay_name = \"Demo: rig and compressor\"\n", site)
	for _, name := range recordings {
		fmt.Fprintf(&text, "[[line]]\nname = %q\ndevice = %q\nbaud = %d\n", name, d.port(name), int(baud*d.speed))
		fmt.Fprintf(&text, "[[unit]]\nname = %[1]q\non = %[1]q\nid = 1\naddresses = \"modicon\"\npoints = \"%[1]s.csv\"\n", name)
	}
	fmt.Fprintf(&text, "[[group]]\nname = \"fast\"\ninterval = \"1s\"\n[buffer]\ndir = %q\n", filepath.Join(d.dir, "edge"))
	fmt.Fprintf(&text, "[[uplink]]\nbroker = \"tcp://%s\"\nhub_key_file = %q\n", broker, filepath.Join(d.dir, "hub-key"))
	fmt.Fprintf(&text, "[uplink.tariff]\nper_mb = 6.95\n[status]\nlisten = \"\"\nsocket = \"\"\n")
	key := batch.SiteKey(master, site)
	files := map[string]string{"skyhaul.toml": text.String(), "hub-key": hex.EncodeToString(key[:])}
	id := 1
	for _, name := range recordings {
		list, err := tagList(name, &id)
		if err != nil {
			return nil, err
		}
		files[name+".csv"] = list
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	c, err := config.Load(filepath.Join(d.dir, "skyhaul.toml"))
	if err != nil {
		return nil, err
	}
	for i := range c.Groups {
		c.Groups[i].Interval = d.fast(interval)
	}
	c.Buffer.Sync = d.fast(c.Buffer.Sync)
	c.Uplink.Window = d.windows_
	c.Uplink.MaxAge = d.fast(2 * time.Second)
	return c, nil
}

// tagList writes the points of a recording, numbered from id on.
func tagList(name string, id *int) (string, error) {
	text, err := testdata.ReadFile("testdata/" + name + ".map.json")
	if err != nil {
		return "", err
	}
	var points []struct {
		Tag     string
		Address int
		Type    string
		Note    string // the unit
	}
	if err := json.Unmarshal(text, &points); err != nil {
		return "", err
	}
	var list strings.Builder
	fmt.Fprintln(&list, "id,tag,address,type,unit,decimals")
	for _, p := range points {
		decimals := 3
		if p.Type == "uint16" {
			decimals = 0
		}
		fmt.Fprintf(&list, "%d,%s,%d,%s,%s,%d\n", *id, p.Tag, p.Address, p.Type, p.Note, decimals)
		*id++
	}
	return list.String(), nil
}

// run acquires for a time, stops the appliance, and starts it again without its
// groups until the hub has everything.
func (d *demo) run(ctx context.Context, acquire time.Duration) error {
	d.started = time.Now()
	if err := d.appliance(ctx, d.config, func(ctx context.Context) { sleep(ctx, acquire) }); err != nil {
		return err
	}
	drain := *d.config
	drain.Lines, drain.Groups = nil, nil
	return d.appliance(ctx, &drain, d.drained)
}

// appliance runs the appliance until the given function returns.
func (d *demo) appliance(ctx context.Context, c *config.Config, until func(context.Context)) error {
	state, err := stable.Open(filepath.Join(d.dir, "edge", "state"))
	if err != nil {
		return err
	}
	clk, err := clock.Open(state, "", d.log)
	if err != nil {
		return err
	}
	daemon, err := edge.New(edge.Options{Config: c, Dir: c.Buffer.Dir, Clock: clk, State: state, Version: "demo", Logger: d.log})
	if err != nil {
		return err
	}
	defer daemon.Close()
	d.show(daemon)
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- daemon.Run(running) }()
	until(ctx)
	stop()
	err = <-done
	d.show(nil)
	return errors.Join(err, ctx.Err())
}

// show makes daemon the one that the page and the view show; nil leaves what
// was shown last.
func (d *demo) show(daemon *edge.Daemon) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.daemon != nil {
		d.last = d.daemon.Snapshot()
		d.billed = d.last.Uplinks[0].BytesPeriod
	}
	d.daemon = daemon
}

func (d *demo) snapshot() status.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.daemon == nil {
		return d.last
	}
	return d.daemon.Snapshot()
}

// patience bounds the wait for the last batch: some windows more.
const patience = 6 * every

// drained returns when the hub has acknowledged everything, or after patience.
func (d *demo) drained(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.fast(patience)+30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		pending := uint64(0)
		for _, l := range d.snapshot().Lanes {
			pending += l.Pending
		}
		if pending == 0 {
			return
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

func sleep(ctx context.Context, t time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(t):
	}
}

// windows counts those that were open in the run.
func (d *demo) windows() (n int) {
	now := time.Now()
	for _, s := range window.Next(d.windows_, d.started, 1_000_000) {
		if s.Start.After(now) {
			break
		}
		n++
	}
	return n
}

// progress is one line for a log.
func (d *demo) progress() string {
	s := d.snapshot()
	var durable, acked uint64
	for _, l := range s.Lanes {
		durable += l.Durable
		acked += l.Acked
	}
	state := "closed"
	if len(s.Uplinks) > 0 && s.Uplinks[0].Open {
		state = "open"
	}
	return fmt.Sprintf("%v: window %s, %d records in the buffer, %d acknowledged", time.Since(d.started).Round(time.Second), state, durable, acked)
}

// close ends what newDemo started.
func (d *demo) close() {
	d.world.cancel()
	d.world.wg.Wait()
	if d.world.broker != nil {
		d.world.broker.close()
	}
	if d.world.sink != nil {
		d.world.sink.Close()
	}
}
