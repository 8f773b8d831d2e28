package systemd

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// idleCheck is how often parts are looked at where systemd does not watch: a
// late part is worth a line all the same.
const idleCheck = 30 * time.Second

// Watchdog sends the keep-alive only while every part of the daemon makes
// progress. A part that hangs lets systemd kill and restart the process.
type Watchdog struct {
	notify   func(...string) error // immutable once set
	every    time.Duration         // immutable once set
	deadline map[string]time.Duration
	log      *slog.Logger

	mu   sync.Mutex // guards last
	last map[string]time.Time

	late   map[string]int // Run's own: checks in a row that found the part late
	failed int            // Run's own: notifications in a row that did not go out
}

// NewWatchdog watches the parts named by deadline, each to tick at least once
// in its time. interval is systemd's, see WatchdogInterval; notify is
// Socket.Notify.
func NewWatchdog(notify func(...string) error, interval time.Duration, deadline map[string]time.Duration, log *slog.Logger) *Watchdog {
	every := interval / 2
	if every <= 0 {
		every = idleCheck
	}
	return &Watchdog{
		notify: notify, every: every, deadline: deadline, log: log,
		last: map[string]time.Time{}, late: map[string]int{},
	}
}

// Tick says that a part made progress. It is cheap, and safe for concurrent use.
func (w *Watchdog) Tick(part string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[part] = time.Now()
}

// Run checks the parts at half of systemd's interval until ctx ends, then it
// returns nil. Each part has its whole deadline from the start of Run.
func (w *Watchdog) Run(ctx context.Context) error {
	for part := range w.deadline {
		w.Tick(part)
	}
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		w.check()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (w *Watchdog) check() {
	alive := true
	for _, part := range slices.Sorted(maps.Keys(w.deadline)) {
		if w.isLate(part) {
			alive = false
		}
	}
	if alive {
		w.keepAlive()
	}
}

func (w *Watchdog) isLate(part string) bool {
	w.mu.Lock()
	silent := time.Since(w.last[part])
	w.mu.Unlock()
	if silent <= w.deadline[part] {
		if w.late[part] > 0 {
			w.log.Info("part makes progress again", "part", part, "checks", w.late[part])
		}
		w.late[part] = 0
		return false
	}
	if w.late[part] == 0 {
		w.log.Error("part makes no progress, keep-alive withheld", "part", part, "silent", silent, "deadline", w.deadline[part])
	}
	w.late[part]++
	return true
}

func (w *Watchdog) keepAlive() {
	err := w.notify(Alive)
	switch {
	case err != nil:
		if w.failed == 0 {
			w.log.Warn("keep-alive not sent", "err", err)
		}
		w.failed++
	case w.failed > 0:
		w.log.Info("keep-alive sent again", "failed", w.failed)
		w.failed = 0
	}
}
