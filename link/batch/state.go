package batch

import (
	"errors"
	"time"
)

// State is the retained document by which a site tells that its session has
// started, or, as last will, that it has ended. It carries no MAC: nothing is
// decided by it but what a fleet view shows and when the hub repeats its own
// documents.
type State struct {
	Online bool
	// Config is the beginning of the hash over the site's configuration.
	Config [8]byte
	// Next is the time to the next expected contact, in whole seconds; zero
	// where the site can't tell.
	Next time.Duration
}

// Marshal returns the document.
func (s State) Marshal() []byte { return nil }

// ParseState reads a document made by Marshal. The error wraps [ErrCorrupt] or
// [ErrVersion].
func ParseState(p []byte) (State, error) {
	return State{}, errors.New("state: not there yet")
}
