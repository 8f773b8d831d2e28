package bufferstore

import "log/slog"

// fault says a lasting failure once when it starts, and once when it ends.
type fault struct{ count int }

// report takes the outcome of another attempt.
func (f *fault) report(log *slog.Logger, what string, err error) {
	switch {
	case err != nil && f.count == 0:
		log.Warn(what+" fails", "err", err)
		f.count++
	case err != nil:
		f.count++
	case f.count > 0:
		log.Info(what+" works again", "failed", f.count)
		f.count = 0
	}
}
