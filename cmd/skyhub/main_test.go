package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub/sqlite"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"skyhub": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// The race detector has every process linger for a second.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await": await,
			"code":  code,
			"fill":  fill,
			"keep":  keep,
			"term":  term,
		},
	})
}

// code runs skyhub and checks its exit code: code 2 sites --json
func code(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	err := ts.Exec("skyhub", args[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// await waits until a file is there: await FILE
func await(ts *testscript.TestScript, _ bool, args []string) {
	for range time.Tick(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
}

// term has systemd's signal sent to what runs in the background.
func term(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

var tanks = &point.Schema{Group: "tanks", Columns: []point.Column{
	{ID: 3, Tag: "LT-3", Unit: "m", Type: point.Int16, Scale: point.Scale{Factor: 0.01}, Decimals: 2},
	{ID: 4, Tag: "TT-3, skin", Unit: "°C", Type: point.Float32, Scale: point.NoScale},
}}

// fill makes a database with readings, gaps, a hole and a fork: fill FILE
func fill(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer s.Close()
	b := &batch.Batch{
		Header:  batch.Header{Lane: point.History, Epoch: bufferstore.Epoch{0xe1}, Opening: &batch.Opening{First: 1}},
		First:   1,
		Last:    7,
		Schemas: []*point.Schema{tanks},
	}
	for n := range bufferstore.Seq(5) {
		b.Records = append(b.Records, bufferstore.Record{First: n + 1, Last: n + 1, Data: level(int(n))})
	}
	b.Records = append(b.Records, bufferstore.Record{First: 6, Last: 7, Lost: bufferstore.Evicted})
	b2 := *b
	b2.First, b2.Last, b2.Records = 12, 12, []bufferstore.Record{{First: 12, Last: 12, Data: level(11)}}
	for _, b := range []*batch.Batch{b, &b2} {
		_, err = s.Store(ctx, "north-7", b)
		ts.Check(err)
	}
	b2.Epoch, b2.Opening = bufferstore.Epoch{0xf0}, &batch.Opening{First: 1}
	_, err = s.Store(ctx, "south-1", b)
	ts.Check(err)
	_, err = s.Store(ctx, "south-1", &b2)
	ts.Check(err)
}

// level is the record of the n-th minute.
func level(n int) []byte {
	sc := point.Scan{
		Schema:  tanks.ID(),
		Stamp:   point.Stamp{Boot: 2, Boottime: time.Duration(n) * time.Minute, Wall: time.Date(2026, 3, 1, 6, n, 0, 0, time.UTC).UnixMilli(), BoundExp: 4},
		Values:  []uint64{uint64(uint16(-100 + n)), uint64(math.Float32bits(20.1 + float32(n)/10))},
		Quality: make([]point.Quality, 2),
	}
	if n == 3 {
		sc.Quality[1] = point.MakeQuality(point.Bad, point.Comm)
		sc.Values[1] = 0
	}
	return sc.Append(nil, tanks)
}

// keep makes a database with two hours of a flow computer, one of them edited,
// and an entry of its log that is cut short: keep FILE
func keep(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer s.Close()
	l, err := point.ParseLayout([]string{"at uint32 unix", "volume float32 m3", "flags uint16 bits 15=alarm"})
	ts.Check(err)
	b := &batch.Batch{
		Header: batch.Header{Lane: point.Custody, Epoch: bufferstore.Epoch{0xe1}, Opening: &batch.Opening{First: 1}},
		First:  1, Last: 4,
	}
	for i, volume := range []byte{0x40, 0x41, 0x42, 0x43} {
		at := time.Date(2026, 3, 1, 6+i/2, 0, 0, 0, time.UTC) // two and two
		a := point.Archive{
			Stamp: point.Stamp{Boot: 2, Boottime: time.Minute, Wall: at.Add(time.Hour).UnixMilli(), BoundExp: 4},
			ID:    900, Source: "meter 1", Name: "hourly", Index: uint32(1 + i/2), Zone: "UTC", Time: at.UnixMilli(), Layout: l,
			Raw: append(binary.BigEndian.AppendUint32(nil, uint32(at.Unix())), volume, 0, 0, 0, 0x80, 1),
		}
		if i == 3 {
			a.ID, a.Name, a.Kind, a.Layout, a.Raw = 901, "events", point.Events, nil, a.Raw[:2]
			a.Time, a.TimeQuality = 0, point.MakeQuality(point.Bad, point.Clock)
		}
		seq := bufferstore.Seq(i + 1)
		b.Records = append(b.Records, bufferstore.Record{Epoch: b.Epoch, First: seq, Last: seq, Data: a.Append(nil)})
	}
	_, err = s.Store(ctx, "north-7", b)
	ts.Check(err)
}
