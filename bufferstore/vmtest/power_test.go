//go:build linux && amd64

package vmtest

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var (
	cycles = flag.Int("cycles", 0, "power cuts; 0 skips the test")
	seed   = flag.Uint64("seed", 1, "of records, moments and what the disk loses")
	cache  = flag.String("disk", volatile, "what the power cut does to the disk's cache: volatile; or qemu's writeback, none, unsafe, where it survives")
	kernel = flag.String("kernel", defaultKernel(), "folder with an unpacked linux-image-*-cloud-amd64")
)

// defaultKernel is where .ci/peers unpacks it.
func defaultKernel() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "skyhaul", "linux")
}

func TestMain(m *testing.M) {
	if os.Getpid() == 1 && os.Getenv("VMTEST_SEED") != "" {
		runGuest()
	}
	os.Exit(m.Run())
}

func TestPowerCutsLoseNothingDurable(t *testing.T) {
	if *cycles == 0 {
		t.Skip("boots virtual machines: -cycles 2 takes half a minute, -cycles 50 ten")
	}
	rng := rand.New(rand.NewPCG(*seed, 0))
	s := newSeries(newMachine(t, t.ArtifactDir(), *seed, *cache, *kernel))
	began := time.Now()
	defer func() { t.Logf("%s\ntime %29v", s.table(), time.Since(began).Round(time.Second)) }()
	for s.cuts < *cycles && !t.Failed() {
		s.judge(t, s.cycle(t.Context(), rng))
		t.Log(s.last)
		if s.cuts%10 == 0 {
			t.Logf("e2fsck: %s", s.machine.check(t.Context()))
		}
	}
	if !t.Failed() {
		s.judge(t, s.verify(t.Context(), rng))
	}
}

// judge fails the test if a cycle ended with an error or left a fault.
func (s *series) judge(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		s.failures++
		t.Errorf("seed %d, cycle %d: %v", s.machine.seed, s.cuts, err)
	}
	for name, l := range s.ledgers {
		for _, fault := range l.faults {
			t.Errorf("seed %d, cycle %d, lane %s: %s", s.machine.seed, s.cuts, name, fault)
		}
	}
}
