//go:build unix

package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
	"skyhaul/link/batch"
)

// spoil flips a bit in the middle of each file that matches: spoil buffer/head-*
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		ts.Check(err)
		b[len(b)/2] ^= 1
		ts.Check(os.WriteFile(name, b, 0o600))
	}
}

// makeStore makes a folder as a daemon leaves it, encrypted where a key is given:
// store DIR [KEY]
func makeStore(ts *testscript.TestScript, _ bool, args []string) {
	var key []byte
	if len(args) > 1 {
		key = []byte(args[1])
	}
	ts.Check(newStore(ts.MkAbs(args[0]), key))
}

// newStore makes a store of two epochs. Lane history has 1000 scans, most of them
// in three segments, of which the hub has 50; message has notes of which the first
// is given up; older is a lane that no version names.
func newStore(dir string, key []byte) error {
	schema := &point.Schema{Group: "fast"}
	for range 20 {
		schema.Columns = append(schema.Columns, point.Column{ID: 1, Tag: "LEVEL", Type: point.Float64, Scale: point.NoScale})
	}
	state, err := stable.Open(filepath.Join(dir, "state"))
	if err == nil {
		err = state.Save("schema-"+schema.ID().String(), schema.Append(nil))
	}
	o := bufferstore.Options{
		HeadBytes: 64 << 10, Key: key,
		Codec: batch.NewChunkCodec(func(point.SchemaID) (*point.Schema, bool) { return schema, true }),
	}
	for _, name := range []string{"message", "history", "older"} {
		o.Lanes = append(o.Lanes, bufferstore.LaneOptions{Name: name})
	}
	buffer := filepath.Join(dir, "buffer")
	return errors.Join(err, fill(buffer, o, 0, 100, schema), fill(buffer, o, 100, 1000, schema))
}

func fill(dir string, o bufferstore.Options, from, to int, schema *point.Schema) error {
	s, err := bufferstore.Open(dir, o)
	if err != nil {
		return err
	}
	history := s.Lane("history")
	rng := rand.New(rand.NewPCG(uint64(from), 0))
	for n := from; n < to; n++ {
		scan := point.Scan{Schema: schema.ID(), Stamp: point.Stamp{Boot: 1, Boottime: time.Duration(n) * time.Second}}
		for range schema.Columns {
			scan.Values, scan.Quality = append(scan.Values, math.Float64bits(rng.NormFloat64())), append(scan.Quality, 0)
		}
		history.Append(scan.Append(nil, schema))
		if n%50 == 49 {
			err = errors.Join(err, s.Sync(context.Background()))
		}
	}
	for _, text := range []string{"one", "two", "three"} {
		n := point.Note{Topic: "start", Text: text}
		s.Lane("message").Append(n.Append(nil))
	}
	s.Lane("older").Append([]byte("\x7fopaque"))
	s.Lane("message").Drop(1, bufferstore.Evicted)
	history.Cursor("hub").Ack(50)
	history.Cursor("hub").SetSent(120)
	return errors.Join(err, s.Sync(context.Background()), s.Close())
}

func TestDumpOfArchiveRecords(t *testing.T) {
	layout, err := point.ParseLayout([]string{"what uint16 bits 9=operator 15=alarm", "at uint32 unix", "P float32 kPa"})
	if err != nil {
		t.Fatal(err)
	}
	whole := point.Archive{
		Source: "meter 1", Name: "events", Kind: point.Events, ID: 901, Index: 7, Time: 1772348400000, Layout: layout,
		Raw: []byte{0x82, 0, 0x69, 0xa3, 0xe3, 0xf0, 0x42, 0, 0, 0},
	}
	short := whole // cut short by the instrument, its time with it
	short.Raw, short.Time, short.TimeQuality = whole.Raw[:2], 0, point.MakeQuality(point.Bad, point.Clock)
	for name, c := range map[string]struct {
		a          point.Archive
		text, json string
	}{
		"whole": {
			whole, "archive meter 1/events 7 2026-03-01T07:00:00Z what=33280(operator alarm) at=1772348400 P=32",
			`{"source":"meter 1","archive":"events","index":7,"device_time":"2026-03-01T07:00:00Z","device_quality":"good","record":"820069A3E3F042000000",` +
				`"fields":[{"field":"what","raw":"33280","unit":"bits","set_bits":"operator alarm"},{"field":"at","raw":"1772348400","unit":"unix"},{"field":"P","raw":"32","unit":"kPa"}]}`,
		},
		"cut short": {
			short, "archive meter 1/events 7 -(bad: clock) what=33280(operator alarm)",
			`{"source":"meter 1","archive":"events","index":7,"device_quality":"bad: clock","record":"8200",` +
				`"fields":[{"field":"what","raw":"33280","unit":"bits","set_bits":"operator alarm"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(view).entry("custody", bufferstore.Record{First: 1, Last: 1, Data: c.a.Append(nil)})
			var text, object strings.Builder
			if err := errors.Join(printText(&text, e), printJSON(&object, e)); err != nil {
				t.Fatal(err)
			}
			if want := "custody 0000000000000000 1 " + c.text + "\n"; text.String() != want {
				t.Errorf("text\n%s, want\n%s", text.String(), want)
			}
			if want := `"kind":"archive","time":"1970-01-01T00:00:00Z","archive":` + c.json + "}\n"; !strings.HasSuffix(object.String(), want) {
				t.Errorf("JSON\n%s, want at the end\n%s", object.String(), want)
			}
		})
	}
}
