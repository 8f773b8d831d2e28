package clock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"skyhaul/edge/stable"
)

func wantOrdinal(t *testing.T, dir *stable.Dir, id string, want uint32) {
	t.Helper()
	got, err := ordinal(dir, id)
	if err != nil || got != want {
		t.Fatalf("ordinal of boot %q: %d, %v; want %d", id, got, err, want)
	}
}

func TestEveryBootHasOneOrdinalHoweverOftenTheDaemonStarts(t *testing.T) {
	dir := folder(t)
	wantOrdinal(t, dir, "a", 1)
	wantOrdinal(t, dir, "a", 1)
	wantOrdinal(t, dir, "b", 2)
	wantOrdinal(t, dir, "a", 1)
	for i := range 100 {
		wantOrdinal(t, dir, fmt.Sprint("boot ", i), uint32(3+i))
	}
	wantOrdinal(t, dir, "c", 103)
}

func TestBootIDMeansTheSameWithAndWithoutDashes(t *testing.T) {
	dir := folder(t)
	wantOrdinal(t, dir, "1B4E28BA-2FA1-11d2-883f-0016d3cca427\n", 1)
	wantOrdinal(t, dir, "1b4e28ba2fa111d2883f0016d3cca427", 1)
}

func TestHiddenBootIDMakesEveryStartABoot(t *testing.T) {
	if a, b := bootID("", "\n"), bootID("", ""); a == b {
		t.Fatalf("both starts are boot %q", a)
	}
	if got := bootID("", "ab-cd\n"); got != "abcd" {
		t.Fatalf("boot %q, want the kernel's", got)
	}
}

func TestDamagedTableNeverGivesAnOrdinalTwice(t *testing.T) {
	for _, damaged := range []string{"clock.boots.0", "clock.boots.1"} {
		path := t.TempDir()
		dir, err := stable.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		wantOrdinal(t, dir, "a", 1)
		wantOrdinal(t, dir, "b", 2)
		wantOrdinal(t, dir, "c", 3)
		if err := os.Truncate(filepath.Join(path, damaged), 20); err != nil {
			t.Fatal(err)
		}
		got, err := ordinal(dir, "d")
		if err == nil {
			t.Errorf("%s: damage not said", damaged)
		}
		if got <= 3 || got > 5 {
			t.Errorf("%s: ordinal %d after 3", damaged, got)
		}
	}
}

func TestLostTableBeginsASeriesOfItsOwn(t *testing.T) {
	lose := map[string]func(path string) error{
		"removed": func(path string) error {
			return errors.Join(os.Remove(filepath.Join(path, "clock.boots.0")), os.Remove(filepath.Join(path, "clock.boots.1")))
		},
		"truncated": func(path string) error {
			return errors.Join(os.Truncate(filepath.Join(path, "clock.boots.0"), 0), os.Truncate(filepath.Join(path, "clock.boots.1"), 0))
		},
	}
	for name, lose := range lose {
		path := t.TempDir()
		dir, err := stable.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		wantOrdinal(t, dir, "a", 1)
		wantOrdinal(t, dir, "b", 2)
		if err := dir.Save("ledger", nil); err != nil {
			t.Fatal(err)
		}
		if err := lose(path); err != nil {
			t.Fatal(err)
		}
		got, err := ordinal(dir, "c")
		if err == nil || got < 1<<16 {
			t.Errorf("%s: ordinal %d, %v", name, got, err)
		}
		wantOrdinal(t, dir, "c", got)
		if next, _ := ordinal(dir, "d"); next <= got || next > got+2 {
			t.Errorf("%s: ordinal %d after %d", name, next, got)
		}
	}
}

func TestTableThatCannotBeWrittenGivesNoOrdinalOfTheTable(t *testing.T) {
	path := t.TempDir()
	dir, err := stable.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	wantOrdinal(t, dir, "a", 1)
	for _, file := range []string{"clock.boots.0~", "clock.boots.1~"} {
		if err := os.MkdirAll(filepath.Join(path, file, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ordinal(dir, "b"); err == nil || got < 1<<16 {
		t.Fatalf("ordinal %d, %v", got, err)
	}
	wantOrdinal(t, dir, "a", 1)
}
