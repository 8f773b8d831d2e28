package clock

import (
	"runtime/debug"
	"time"

	"skyhaul/edge/stable"
)

const syncedName = "clock.synced" // RFC 3339 text

// earliest stands in for the build time of a program built without version
// control; no skyhaul is older.
var earliest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// trustedFloor returns the latest time that is known to be past.
func trustedFloor(dir *stable.Dir) time.Time {
	floor := earliest
	if t := buildTime(); t.After(floor) {
		floor = t
	}
	if t := loadSynced(dir); t.After(floor) {
		floor = t
	}
	return floor
}

func buildTime() (t time.Time) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ = time.Parse(time.RFC3339, s.Value)
		}
	}
	return t
}

// loadSynced returns the zero time where none was kept or none is readable: a
// floor that is too low only lets a wrong clock pass as rtc only.
func loadSynced(dir *stable.Dir) (t time.Time) {
	if b, err := dir.Load(syncedName); err == nil {
		t, _ = time.Parse(time.RFC3339, string(b))
	}
	return t
}

func saveSynced(dir *stable.Dir, t time.Time) error {
	return dir.Save(syncedName, []byte(t.UTC().Format(time.RFC3339)))
}
