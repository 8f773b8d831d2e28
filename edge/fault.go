package edge

import (
	"log/slog"
	"sync"
	"time"
)

// fault is a state that may last: one line when it begins and one when it ends.
// The zero value is sound. Safe for concurrent use.
type fault struct {
	mu    sync.Mutex
	err   error     // guarded by mu; nil while sound
	since time.Time // guarded by mu
	count int       // guarded by mu
}

// set tells whether what can fail has failed this time.
func (f *fault) set(log *slog.Logger, what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.err == nil:
		f.since, f.count = time.Now(), 0
		log.Error(what, "err", err)
	case err == nil && f.err != nil:
		log.Info(what+": over", "count", f.count, "lasted", time.Since(f.since).Round(time.Second))
	}
	if err != nil {
		f.count++
	}
	f.err = err
}

// get returns the error while the fault lasts.
func (f *fault) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
