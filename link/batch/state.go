package batch

import (
	"encoding/binary"
	"fmt"
	"math"
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

// flagOnline is the one flag of a state.
const flagOnline = 1

// Marshal returns the document, at most 15 bytes:
//
//	version u8 = 1 | flags u8 | config 8 | seconds to the next contact uvarint
//
// Next is rounded up to seconds and kept between 0 and 2^32-1 of them.
func (s State) Marshal() []byte {
	p := []byte{documentVersion, 0}
	if s.Online {
		p[1] = flagOnline
	}
	p = append(p, s.Config[:]...)
	seconds := (s.Next-1)/time.Second + 1
	if s.Next <= 0 {
		seconds = 0
	}
	return binary.AppendUvarint(p, uint64(min(seconds, math.MaxUint32)))
}

// ParseState reads a document made by Marshal. The error wraps [ErrCorrupt] or
// [ErrVersion].
func ParseState(p []byte) (s State, err error) {
	src := source{b: p}
	version, flags := src.byte(), src.byte()
	if !src.bad && version != documentVersion {
		return State{}, fmt.Errorf("state version %d, want %d: %w", version, documentVersion, ErrVersion)
	}
	s.Online = flags == flagOnline
	copy(s.Config[:], src.take(uint64(len(s.Config))))
	seconds := src.uvarint()
	if src.bad || len(src.b) > 0 || flags > flagOnline || seconds > math.MaxUint32 {
		return State{}, fmt.Errorf("state of %d bytes: %w", len(p), ErrCorrupt)
	}
	s.Next = time.Duration(seconds) * time.Second
	return s, nil
}
