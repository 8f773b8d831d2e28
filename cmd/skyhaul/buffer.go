package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skyhaul/bufferstore"
	"skyhaul/config"
	"skyhaul/edge"
	"skyhaul/edge/point"
)

func bufferCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "buffer",
		Short: "Look into a buffer, whether its daemon runs or not, also a damaged one",
		Long: "The commands read the buffer as it is at one moment, of a daemon that runs or not, also\n" +
			"a damaged one, a copy, or one that was set aside. They write nothing, lock nothing,\n" +
			"stop nothing and need no space.",
		Example: "  skyhaul buffer ls --config /etc/skyhaul/skyhaul.toml",
	}
	cmd.AddCommand(bufferLsCommand(), bufferDumpCommand(), bufferVerifyCommand(), bufferExportCommand())
	return cmd
}

// view is a buffer that is looked into, with the schemas of its records.
type view struct {
	*bufferstore.View
	schemas *edge.Schemas
	store   string // its folder
	state   string // the folder of the schemas
	quota   int64  // bytes; 0: not known
	unnamed int    // scans that were met and whose schema is not known
}

// bufferFlags adds the flags that say which buffer, and returns what opens it.
func bufferFlags(cmd *cobra.Command) func() (*view, error) {
	path := cmd.Flags().String("config", "", "configuration `FILE` that names the folder, and the key if there is one")
	dir := cmd.Flags().String("dir", "", "the `DIR` itself, as in [buffer] dir, or one with head-0 or segments in it")
	keyFile := cmd.Flags().String("key-file", "", "`FILE` with the key of an encrypted buffer, or credential:NAME: 32 bytes or 64 hexadecimal digits")
	return func() (*view, error) {
		c := &config.Config{}
		switch {
		case (*path == "") == (*dir == ""):
			return nil, usageError{fmt.Errorf("give either --config FILE or --dir DIR: see %s --help", cmd.CommandPath())}
		case *path != "":
			var err error
			if c, err = config.Load(*path); err != nil {
				return nil, configError{err}
			}
			*dir = c.Buffer.Dir
		}
		return openView(*dir, cmp.Or(*keyFile, c.Buffer.KeyFile), c.Buffer.Quota)
	}
}

func openView(dir, keyFile string, quota int64) (*view, error) {
	v := &view{quota: quota}
	var key []byte
	var err error
	if v.store, v.state, err = findStore(dir); err != nil {
		return nil, err
	}
	if keyFile != "" {
		if key, err = edge.BufferKey(keyFile, os.Getenv("CREDENTIALS_DIRECTORY")); err != nil {
			return nil, fmt.Errorf("key of the buffer: %w", err)
		}
	}
	v.View, v.schemas, err = edge.ViewStore(v.store, v.state, key)
	switch {
	case errors.Is(err, bufferstore.ErrKey) && key == nil:
		return nil, fmt.Errorf("the buffer in %s is encrypted: give its key with --key-file FILE", v.store)
	case errors.Is(err, bufferstore.ErrKey):
		return nil, fmt.Errorf("the buffer in %s is encrypted under another key than that in %s", v.store, keyFile)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: try it as root, or as the user of the daemon", err)
	}
	return v, err
}

// findStore returns the folders of the buffer and of its schemas. The buffer is
// below dir, as the daemon has it, or dir itself.
func findStore(dir string) (store, state string, err error) {
	store = filepath.Join(dir, "buffer")
	if err = checkStore(store); err == nil {
		return store, filepath.Join(dir, "state"), nil
	}
	if checkStore(dir) != nil {
		return "", "", fmt.Errorf("no buffer below %s: %w", dir, err)
	}
	above, err := filepath.Abs(dir)
	if above = filepath.Dir(above); filepath.Base(above) == "quarantine" {
		above = filepath.Dir(filepath.Dir(above))
	}
	return dir, filepath.Join(above, "state"), err
}

// checkStore looks whether something of a buffer lies in a folder.
func checkStore(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if name := e.Name(); name == "segments" || strings.HasPrefix(name, "head-") || strings.HasPrefix(name, "marks-") {
			return nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: try it as root, or as the user of the daemon", err)
	case err != nil:
		return err
	}
	return fmt.Errorf("%s is empty: nothing was written yet, or its files are lost", dir)
}

// lanes returns the lanes that have records, the most urgent first, behind them
// those that this version doesn't name.
func (b *view) lanes() []bufferstore.LaneView {
	rank := func(l bufferstore.LaneView) int {
		if known, ok := point.ParseLane(l.Name); ok {
			return slices.Index(point.Lanes(), known)
		}
		return len(point.Lanes())
	}
	all := b.Lanes()
	slices.SortStableFunc(all, func(x, y bufferstore.LaneView) int { return cmp.Compare(rank(x), rank(y)) })
	return all
}

// selection says which records are wanted.
type selection struct {
	lane     string
	from, to uint64
}

// laneFlags adds the flags that say which records.
func laneFlags(cmd *cobra.Command) *selection {
	s := new(selection)
	cmd.Flags().StringVar(&s.lane, "lane", "", "only the lane `NAME`")
	cmd.Flags().Uint64Var(&s.from, "from", 1, "begin at this sequence `NUMBER`")
	cmd.Flags().Uint64Var(&s.to, "to", 0, "end with this sequence `NUMBER`; 0: with the last")
	return s
}

// each yields the records of a buffer that are wanted, lane by lane.
func (s *selection) each(ctx context.Context, b *view, yield func(lane string, rec bufferstore.Record) error) error {
	if s.to != 0 && s.to < s.from {
		return usageError{fmt.Errorf("--to %d is before --from %d", s.to, s.from)}
	}
	lanes := b.lanes()
	if s.lane != "" {
		lanes = slices.DeleteFunc(lanes, func(l bufferstore.LaneView) bool { return l.Name != s.lane })
		if _, known := point.ParseLane(s.lane); !known && len(lanes) == 0 {
			return usageError{fmt.Errorf("--lane %q: there are %v, and none of another name in this buffer", s.lane, point.Lanes())}
		}
	}
	for _, l := range lanes {
		for rec, err := range b.Records(l.Name, bufferstore.Seq(s.from)) {
			if s.to != 0 && uint64(rec.First) > s.to {
				break
			}
			if s.to != 0 {
				rec.Last = min(rec.Last, bufferstore.Seq(s.to))
			}
			if err == nil {
				err = yield(l.Name, rec)
			}
			if err = cmp.Or(context.Cause(ctx), err); err != nil {
				return b.explain(err)
			}
		}
	}
	return nil
}

// explain says what to do about an error while the buffer is read.
func (b *view) explain(err error) error {
	if errors.Is(err, bufferstore.ErrKey) {
		return fmt.Errorf("a part of the buffer in %s is encrypted under another key, or none was given: give it with --key-file FILE", b.store)
	}
	return err
}

// scan decodes a scan; ok is false where the record is none, or one whose schema
// is not known.
func (b *view) scan(rec bufferstore.Record) (sc *point.Scan, schema *point.Schema, ok bool) {
	id, ok := point.ScanSchema(rec.Data)
	if !ok {
		return nil, nil, false
	}
	if schema, ok = b.schemas.Lookup(id); ok {
		sc = new(point.Scan)
		ok = sc.Decode(rec.Data, schema) == nil
	}
	if !ok {
		b.unnamed++
	}
	return sc, schema, ok
}
