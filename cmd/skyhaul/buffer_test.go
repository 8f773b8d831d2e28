//go:build unix

package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
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
