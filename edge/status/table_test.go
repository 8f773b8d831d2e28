package status_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/status"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestTableShowsTheSnapshotInColumns(t *testing.T) {
	var got bytes.Buffer
	if err := status.Table(&got, sample()); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/table.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTableOfASiteWithNothingYetIsShort(t *testing.T) {
	now := time.Date(2026, 12, 24, 13, 0, 0, 0, time.UTC)
	var got bytes.Buffer
	s := status.Snapshot{Site: "new", Time: now, Started: now, TimeQuality: "rtc only", Version: "v0.1.0", ConfigHash: "00"}
	if err := status.Table(&got, s); err != nil {
		t.Fatal(err)
	}
	want := "new (new): all well\n" +
		"2026-12-24 13:00:00 UTC, clock rtc only, up 0 s, skyhaul v0.1.0, configuration 00\n" +
		"\nbuffer: 0 B of 0 B, room for not known\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorTextsDoNotSteerTheTerminal(t *testing.T) {
	s := sample()
	s.Degraded = []string{"a\x1b[2Jb"}
	s.Uplinks[0].LastError = "c\x1b]0;title\ad\n"
	var got bytes.Buffer
	if err := status.Table(&got, s); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.String(), "\x1b\a") || !strings.Contains(got.String(), "a?[2Jb") {
		t.Errorf("%q", got.String())
	}
}

func TestTableIsPlainWhereNobodySeesColour(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := status.Table(file, sample()); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file.Name()); len(b) == 0 || strings.Contains(string(b), "\x1b") {
		t.Errorf("%q", b)
	}
}
