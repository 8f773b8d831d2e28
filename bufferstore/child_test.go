package bufferstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// children are what the test binary does when it is started again.
var children = map[string]func(dir string) error{
	"write":  childWrite,
	"verify": childVerify,
	"open":   childOpen,
	"fill":   childFill,
}

func TestMain(m *testing.M) {
	if role := os.Getenv("BUFFERSTORE_CHILD"); role != "" {
		if err := children[role](os.Getenv("BUFFERSTORE_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t testing.TB, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), "BUFFERSTORE_CHILD="+role, "BUFFERSTORE_DIR="+dir, "GORACE=atexit_sleep_ms=0")
	return c
}

var childOptions = Options{Codec: squeeze{}, Lanes: []LaneOptions{{Name: "a"}, {Name: "b", Policy: DropOldest}}}

func childOpen(dir string) error {
	s, err := Open(dir, childOptions)
	if err != nil {
		return err
	}
	return s.Close()
}

// childWrite appends test records, keeps its cursors and the store's order going, and says what is durable.
func childWrite(dir string) error {
	s, err := Open(dir, childOptions)
	if err != nil {
		return err
	}
	a, b := s.Lane("a"), s.Lane("b")
	fmt.Println("epoch", s.Epoch(), a.Durable(), b.Durable())
	for n := 0; ; n++ {
		for _, l := range s.lanes {
			l.Append(testRecord(l.name, s.Epoch(), l.Append()+1))
		}
		if n%3 > 0 {
			continue
		}
		if err := s.Sync(context.Background()); err != nil {
			return err
		}
		fmt.Println("durable", a.Durable(), b.Durable(), b.Cursor("hub").Acked())
		b.Cursor("hub").Ack(b.Durable() / 2)
		if n%30 == 0 {
			s.base += sealAge // time passes
			s.maintain()
		}
	}
}

func TestKillLosesNothingDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	var durable [3]Seq
	epochs := map[string]bool{}
	for range 10 {
		c := child(t, "write", dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := rng.IntN(60); lines.Scan(); left-- {
			var e string
			var a, b Seq
			if _, err := fmt.Sscan(lines.Text(), new(string), &e, &a, &b); err == nil && len(e) == 16 {
				if a < durable[0] || b < durable[1] || epochs[e] {
					t.Errorf("epoch %s begins behind %d and %d, durable was %v", e, a, b, durable)
				}
				epochs[e] = true
			} else if _, err := fmt.Sscanf(lines.Text(), "durable %d %d %d", &durable[0], &durable[1], &durable[2]); err != nil {
				t.Errorf("%q: %v", lines.Text(), err)
			}
			if left == 0 {
				if err := c.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		_ = c.Wait() // killed
	}
	s := mustOpen(t, dir, childOptions, openBadger)
	defer mustClose(t, s)
	a, b := s.Lane("a"), s.Lane("b")
	if a.Durable() < durable[0] || b.Durable() < durable[1] || b.Cursor("hub").Acked() < durable[2] || len(s.Stats().Quarantined) > 0 {
		t.Errorf("durable %d and %d, acked %d, want %v", a.Durable(), b.Durable(), b.Cursor("hub").Acked(), durable)
	}
	if got := lost(t, a); len(got) > 0 {
		t.Errorf("lost %v", got)
	}
	if got := lost(t, b); len(got) > 0 {
		t.Errorf("lost %v", got)
	}
	if len(a.Spans()) < 5 {
		t.Errorf("only %d epochs wrote anything", len(a.Spans()))
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, childOptions, openBadger)
	out, err := child(t, "open", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another process") {
		t.Errorf("%v: %s", err, out)
	}
	mustClose(t, s)
	if out, err := child(t, "open", dir).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// childVerify opens a store that may be damaged, reads it, and goes on writing.
func childVerify(dir string) error {
	o := childOptions
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := Open(dir, o)
	if err != nil {
		return err
	}
	n, gone := 0, Seq(0)
	for _, l := range s.lanes {
		for r, err := range l.Records(1) {
			if err != nil {
				return err
			}
			if r.Lost == Kept && !bytes.Equal(r.Data, testRecord(l.name, r.Epoch, r.First)) {
				return fmt.Errorf("wrong record at %d", r.First)
			}
			if r.Lost == Kept {
				n++
			} else {
				gone += r.Last - r.First + 1
			}
		}
		l.Append([]byte("goes on"))
	}
	fmt.Println("read", n, "damaged", gone, "aside", len(s.Stats().Quarantined))
	return errors.Join(s.Sync(context.Background()), s.Close())
}

// childFill leaves a store as a power cut does: with tables of earlier
// openings, a log, and what lists them.
func childFill(dir string) error {
	for round := range 4 {
		s, err := Open(dir, childOptions)
		if err != nil {
			return err
		}
		for n := range 220 {
			for _, l := range s.lanes {
				l.Append(testRecord(l.name, s.Epoch(), l.Append()+1))
			}
			if n%5 == 4 {
				if err := s.Sync(context.Background()); err != nil {
					return err
				}
			}
			if n == 199 {
				s.base += sealAge
				s.maintain()
			}
		}
		if round == 3 {
			return nil // without Close
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

func TestDamagedFilesNeverStopAStartNorYieldAWrongRecord(t *testing.T) {
	t.Parallel()
	dir, records := t.TempDir(), 2*4*220
	if out, err := child(t, "fill", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path, err := filepath.Glob(filepath.Join(dir, "store-*"))
	if err != nil || len(path) != 1 {
		t.Fatal(path, err)
	}
	files, err := os.ReadDir(path[0])
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(name string, b []byte) error{
		"cut":     func(name string, b []byte) error { return os.Truncate(name, int64(len(b)/2)) },
		"emptied": func(name string, _ []byte) error { return os.Truncate(name, 0) },
		"deleted": func(name string, _ []byte) error { return os.Remove(name) },
		"flipped": func(name string, b []byte) error { b[len(b)/3] ^= 4; return os.WriteFile(name, b, 0o600) },
		"zeroed": func(name string, b []byte) error {
			clear(b[len(b)/5 : min(len(b)/5+4096, len(b))])
			return os.WriteFile(name, b, 0o600)
		},
		"last block": func(name string, b []byte) error { // a table's index points there
			if at := bytes.LastIndex(b, []byte(chunkMagic)); at > 200 {
				clear(b[at-200 : at])
			}
			return os.WriteFile(name, b, 0o600)
		},
	}
	tables := 0
	for _, f := range files {
		ext := filepath.Ext(f.Name())
		if ext == ".vlog" || f.Name() == "LOCK" || f.Name() == "DISCARD" || ext == ".sst" && tables == 2 {
			continue
		}
		if ext == ".sst" {
			tables++
		}
		for what, damage := range damages {
			t.Run(f.Name()+" "+what, func(t *testing.T) {
				clone := copyDir(t, dir)
				name := filepath.Join(clone, filepath.Base(path[0]), f.Name())
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := damage(name, b); err != nil {
					t.Fatal(err)
				}
				read, starts := verify(t, clone, records)
				if f.Name() == "KEYREGISTRY" && read != records {
					t.Errorf("read %d of %d records for lack of a file that holds nothing", read, records)
				}
				if what != "last block" && starts > 1 {
					t.Errorf("%d starts", starts)
				}
			})
		}
	}
	if tables == 0 {
		t.Error("no table was damaged")
	}
	if got, _ := verify(t, dir, records); got != records {
		t.Errorf("read %d of %d records of an undamaged store", got, records)
	}
}

// verify starts a child on a store until it comes up, as systemd does, and
// returns how many records it reads and how many starts it took.
func verify(t *testing.T, dir string, records int) (read, starts int) {
	t.Helper()
	for try := range maxOpenings + 2 {
		c := child(t, "verify", dir)
		var log bytes.Buffer
		c.Stderr = &log
		out, err := c.Output()
		if err == nil {
			var damaged, aside int
			if _, err := fmt.Sscanf(string(out), "read %d damaged %d aside %d", &read, &damaged, &aside); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Logf("start %d: %s%s", try+1, out, log.String())
			if read+damaged != records {
				t.Errorf("of %d records %d were read and %d declared damaged", records, read, damaged)
			}
			return read, try + 1
		}
		if strings.Contains(log.String(), "wrong record") {
			t.Fatalf("%s", log.String())
		}
	}
	t.Error("it doesn't start")
	return 0, 0
}
