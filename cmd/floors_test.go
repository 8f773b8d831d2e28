// Package cmd holds no code of its own; its test is the summary of the
// architecture.
package cmd

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors says on which floor a package stands. A package imports lower floors
// only; floor 0 imports nothing of ours.
var floors = map[string]int{
	"cmd/skyhaul": 5, // the appliance
	"cmd/skyhub":  5, // the central receiver
	"cmd/skydemo": 5, // the whole system in one process

	"cmd/buffigures": 5, // tests only: what the buffer costs, beside its targets

	"edge": 4, // assembles the daemon from a configuration and a store

	"config":          3, // file -> checked values that are the packages' own types
	"link/hub/sqlite": 3, // a hub's sink
	"link/custody":    3, // tests only: stores, uplinks and hubs through everything that goes wrong

	"link":           2, // the uplink: window open -> drain cursors -> publish -> marks
	"link/hub":       2, // central side: decode, store through a sink, acknowledge
	"modbus/gateway": 2, // a local client shares a line with the daemon
	"modbus/listen":  2, // a line that another client owns, overheard
	"modbus/survey":  2, // what is on a line, and what is wrong with it
	"edge/archive":   2, // records that flow computers keep, harvested once
	"edge/textline":  1, // instruments that send plain text
	"edge/scan":      2, // scan groups, quality, alarms; one pass -> one record a lane

	"modbus/bus":       1, // one line owns one port or endpoint: scheduler, planner, dead units
	"modbus/sim":       1, // replayed, simulated and faulty units
	"modbus/tap":       1, // what passes on a connection, with times, as text
	"edge/profile":     1, // known instruments
	"edge/clock":       1, // boot ordinal, CLOCK_BOOTTIME, wall time and its quality
	"edge/sieve":       1, // readings left out of the records, within a stated error
	"edge/status":      1, // snapshot, local web page, /status.json, /metrics
	"link/batch":       1, // the wire format: records <-> bytes
	"link/batch/bench": 2, // bytes per reading of recorded data

	"bufferstore/vmtest": 1, // tests only: power cuts of a virtual machine

	"edge/point":       0, // point, schema, value, quality, stamp, scan, event: the records' content
	"edge/stable":      0, // small named values that must outlive anything
	"bufferstore":      0, // durable lanes of opaque records, cursors, retention, declared gaps
	"modbus":           0, // PDU, framings, client, server, register codecs
	"modbus/serial":    0, // the port
	"link/window":      0, // when the link may be used
	"link/tariff":      0, // at what price
	"link/mqtt":        0, // MQTT session engine
	"link/batch/model": 0, // modelled coder of tables and bytes, bit for bit the same on every machine
	"link/linksim":     0, // TCP relay with delay, rate and outages
	"systemd":          0, // sd_notify, unit, sysusers, udev

	"bufferstore/faultfs": 0, // tests only: a file system that loses power, fills up, fails
}

// appliance lists what the appliance may not link: it stays small, and what
// the centre needs stays at the centre.
var appliance = []string{"database/sql", "modernc.org/sqlite", "github.com/nats-io", "github.com/twmb/franz-go"}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) (pkgs []pkg) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestPackagesImportLowerFloorsOnly(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, "skyhaul/")
		if name == "cmd" {
			continue // this test
		}
		seen[name] = true
		floor, ok := floors[name]
		if !ok {
			t.Errorf("%s stands on no floor: give it one in this map", name)
		}
		for _, imp := range p.Imports {
			below, ours := strings.CutPrefix(imp, "skyhaul/")
			if ours && floors[below] >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d)", name, floor, below, floors[below])
			}
			if below == "config" && name != "edge" && !strings.HasPrefix(name, "cmd/") {
				t.Errorf("%s imports config: only edge and cmd do", name)
			}
		}
	}
	for name := range floors {
		if !seen[name] {
			t.Errorf("%s has a floor but no code", name)
		}
	}
}

func TestApplianceLinksNothingOfTheCentre(t *testing.T) {
	pkgs := list(t, "./cmd/skyhaul")
	if len(pkgs) != 1 {
		t.Fatalf("go list found %d packages, want 1", len(pkgs))
	}
	for _, banned := range appliance {
		if slices.ContainsFunc(pkgs[0].Deps, func(dep string) bool { return strings.HasPrefix(dep, banned) }) {
			t.Errorf("cmd/skyhaul links %s", banned)
		}
	}
}
