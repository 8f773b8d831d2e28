//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"skyhaul/bufferstore/faultfs"
)

// disk is a file system with faults, and the ledger of the store on it.
type disk struct {
	*faultfs.Volume
	*ledger
	t     *testing.T
	mount string
	dir   string // of the store, in the volume
}

// newDisk mounts a volume. It skips the test where that can't be done.
func newDisk(t *testing.T, o faultfs.Options) *disk {
	t.Helper()
	d := onDisk(t, faultfs.New(o), newLedger())
	if err := d.Mount(d.mount); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := d.Cut(0); err != nil {
			t.Error(err)
		}
	})
	return d
}

// onDisk returns a disk whose volume isn't mounted. Where the mount has gone, there
// is a file in the place of the store's directory: a child that lives on for a
// moment must not go on beneath.
func onDisk(t *testing.T, v *faultfs.Volume, b *ledger) *disk {
	t.Helper()
	d := &disk{v, b, t, t.TempDir(), ""}
	d.dir = filepath.Join(d.mount, "store")
	must(t, os.WriteFile(d.dir, nil, 0o600))
	return d
}

// open has a child open the store, under the conditions of cmd. A store that
// doesn't open counts as a failure to start.
func (d *disk) open(c *child, cmd command) bool {
	d.t.Helper()
	cmd.Do, cmd.Dir = "open", d.dir
	err := c.ask(cmd)
	if err != nil {
		d.mu.Lock()
		d.failed++
		d.faultf("it doesn't open: %v", err)
		d.mu.Unlock()
	}
	return err == nil
}

// cut cuts the power, kills the child and mounts what is left.
func (d *disk) cut(c *child, seed int64) {
	d.t.Helper()
	must(d.t, d.Cut(seed))
	c.kill(d.ledger)
	must(d.t, d.Mount(d.mount))
}

// setFails says whether what can't be read may be read later.
func (d *disk) setFails(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = on
}

// awaitCalls waits until the volume has got so many more calls. A store whose
// disk is full may make none for long.
func (d *disk) awaitCalls(n int) {
	deadline := time.Now().Add(100 * time.Millisecond)
	for n += d.Stats().Calls; d.Stats().Calls < n && time.Now().Before(deadline); {
		time.Sleep(100 * time.Microsecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
