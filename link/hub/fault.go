package hub

import "log/slog"

// fault reports what lasts once when it begins and once when it ends.
type fault struct {
	log          *slog.Logger
	begins, ends string
	count        int
}

func (f *fault) begin(err error) {
	if f.count == 0 {
		f.log.Warn(f.begins, "err", err)
	}
	f.count++
}

func (f *fault) end() {
	if f.count > 0 {
		f.log.Info(f.ends, "errors", f.count)
	}
	f.count = 0
}
