//go:build !linux

package serial

// companion does nothing here: Windows opens a port for one process only.
type companion struct{}

func openCompanion(Config) (*companion, error) { return &companion{}, nil }

func (*companion) alone(open func() error) error { return open() }

func (*companion) lineErrors() (LineErrors, bool) { return LineErrors{}, false }

func (*companion) close() {}
