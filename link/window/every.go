package window

import (
	"fmt"
	"time"
)

// Every opens at even steps from the Unix epoch.
type Every struct {
	every, open, offset time.Duration // immutable once set
}

// NewEvery returns the window that opens each time every has passed since
// offset after 1970-01-01 00:00 UTC, and stays open for open. It wants
// 0 < open < every and 0 <= offset < every.
func NewEvery(every, open, offset time.Duration) (Every, error) {
	switch {
	case every <= 0:
		return Every{}, fmt.Errorf("every = %v: must be more than zero", every)
	case open <= 0:
		return Every{}, fmt.Errorf("open = %v: must be more than zero", open)
	case open >= every:
		return Every{}, fmt.Errorf("open = %v: must be less than every = %v; a window that never closes is \"always\"", open, every)
	case offset < 0 || offset >= every:
		return Every{}, fmt.Errorf("offset = %v: must be from 0 up to every = %v", offset, every)
	}
	return Every{every, open, offset}, nil
}

// At tells how the window stands at now.
func (e Every) At(now time.Time) State {
	now = now.UTC()
	in := time.Duration(now.UnixNano()-int64(e.offset)) % e.every
	if in < 0 { // before 1970: a clock that was never set
		in += e.every
	}
	if in < e.open {
		return State{true, now.Add(e.open - in)}
	}
	return State{false, now.Add(e.every - in)}
}
