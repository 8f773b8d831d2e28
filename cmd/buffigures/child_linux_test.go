package buffigures

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/config"
	"skyhaul/edge"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
)

// The commands to a writer, each one byte:
//
//	'r' | records uvarint | { length uvarint | bytes }*   append
//	's'                                                   sync
//	'a'                                                   acknowledge all, sync
//	'o' | from uvarint                                    read from that number on
//
// It answers each but the first with a line of two numbers: the nanoseconds it
// took, and the last durable record, or how many readings were read. The first
// answer is to its start: how long the store took to open.
const (
	cmdRecords = 'r'
	cmdSync    = 's'
	cmdAck     = 'a'
	cmdReadOut = 'o'
)

const childEnv = "BUFFIGURES_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := write(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// openStore opens the store in dir as the daemon does, where records are kept
// until they are acked and no longer.
func openStore(dir string) (*bufferstore.Store, *edge.Schemas, error) {
	state, err := stable.Open(filepath.Join(dir, "state"))
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	schemas, err := edge.OpenSchemas(state, log)
	if err != nil {
		return nil, nil, err
	}
	store, err := edge.OpenStore(new(config.Config), dir, nil, schemas, log)
	return store, schemas, err
}

// keepSchemas makes the schemas of a load durable, as the daemon does before it
// opens the store.
func (l *load) keepSchemas(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	state, err := stable.Open(filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	for g, s := range l.schemas {
		if err := state.Save("schema-"+l.ids[g].String(), s.Append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// child is a store that obeys commands.
type child struct {
	store   *bufferstore.Store
	lane    *bufferstore.Lane
	cursor  *bufferstore.Cursor
	schemas *edge.Schemas
	in      *bufio.Reader
	rec     []byte
	latest  time.Time // of the last append
}

// write opens the store and does what in says, until it ends.
func write(dir string, in io.Reader, out io.Writer) error {
	debug.SetMemoryLimit(32<<20 + groups*points*4<<10) // as the daemon does
	begin := time.Now()
	store, schemas, err := openStore(dir)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	lane := store.Lane(point.History.String())
	c := &child{store: store, lane: lane, cursor: lane.Cursor("hub"), schemas: schemas, in: bufio.NewReaderSize(in, 64<<10)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ran := make(chan error)
	go func() { ran <- store.Run(ctx) }()
	for n := uint64(lane.Durable()); err == nil; took, n, err = c.next() {
		if _, err := fmt.Fprintln(out, took.Nanoseconds(), n); err != nil {
			return err
		}
	}
	cancel()
	<-ran
	if err != io.EOF {
		return err
	}
	return store.Close()
}

// next does commands up to the next that is answered.
func (c *child) next() (took time.Duration, n uint64, err error) {
	for {
		cmd, err := c.in.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		begin := time.Now()
		switch cmd {
		case cmdRecords:
			if err := c.append(); err != nil {
				return 0, 0, err
			}
			continue
		case cmdSync:
			begin = c.latest
			err = c.sync()
			n = uint64(c.lane.Durable())
		case cmdAck:
			c.cursor.Ack(c.lane.Durable())
			err = c.sync()
			n = uint64(c.cursor.Acked())
		case cmdReadOut:
			n, err = c.readOut()
		default:
			err = fmt.Errorf("command %q is not known", cmd)
		}
		return time.Since(begin), n, err
	}
}

// append appends what follows, one record after the other.
func (c *child) append() error {
	c.latest = time.Now()
	count, err := binary.ReadUvarint(c.in)
	if err != nil {
		return err
	}
	for range count {
		size, err := binary.ReadUvarint(c.in)
		if err != nil {
			return err
		}
		c.rec = slices.Grow(c.rec[:0], int(size))[:size]
		if _, err := io.ReadFull(c.in, c.rec); err != nil {
			return err
		}
		c.lane.Append(c.rec)
	}
	return nil
}

// sync tries as the daemon does, until the store takes the records.
func (c *child) sync() error {
	for tries := 0; ; tries++ {
		err := c.store.Sync(context.Background())
		if err == nil || tries == 100 {
			return err
		}
		fmt.Fprintln(os.Stderr, "sync:", err)
		time.Sleep(100 * time.Millisecond)
	}
}

// readOut counts the readings from a record on by what each says of its schema.
func (c *child) readOut() (readings uint64, err error) {
	from, err := binary.ReadUvarint(c.in)
	if err != nil {
		return 0, err
	}
	for r, err := range c.lane.Records(bufferstore.Seq(from)) {
		if err != nil {
			return readings, err
		}
		id, ok := point.ScanSchema(r.Data)
		if r.Lost != bufferstore.Kept || !ok {
			return readings, fmt.Errorf("records %d to %d: %v, want a scan", r.First, r.Last, r.Lost)
		}
		s, ok := c.schemas.Lookup(id)
		if !ok {
			return readings, fmt.Errorf("record %d: schema %v is not known", r.First, id)
		}
		readings += uint64(len(s.Columns))
	}
	return readings, nil
}
