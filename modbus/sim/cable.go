package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"skyhaul/modbus"
)

// Cable is a line in memory, for tests of time: it works in a synctest bubble.
// It takes no time of its own; a [Line] gives it one. The zero value is a cable
// with nothing plugged in. Safe for concurrent use.
type Cable struct {
	mu       sync.Mutex   // guards the rest
	units    *flow        // to the units; nil while none are plugged in
	client   *flow        // to the client that dialled last; nil before
	settings LineSettings // of that client
}

// Open plugs units in and returns their end; it is an [Options.Open]. What they
// write while no client listens is lost.
func (c *Cable) Open() (modbus.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.units = newFlow()
	return &unitsEnd{c.units, c}, nil
}

// Dial returns the client's end, whose settings are those of the units. It
// fails while no units are plugged in.
func (c *Cable) Dial(ctx context.Context) (modbus.Conn, error) {
	return c.DialAs(ctx, LineSettings{})
}

// DialAs returns the end of a client with some settings, zero fields as the
// units have them. They matter where the line has [Options.Settings].
func (c *Cable) DialAs(_ context.Context, s LineSettings) (modbus.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.units == nil {
		return nil, errUnplugged
	}
	c.client, c.settings = newFlow(), s
	return &clientEnd{c.client, c.units}, nil
}

var errUnplugged = errors.New("open cable: no units are plugged in")

// clientEnd can be closed and dialled again without the units noticing.
type clientEnd struct {
	*flow
	units *flow
}

func (e *clientEnd) Write(p []byte) (int, error) { return e.units.write(p, time.Now()) }

type unitsEnd struct {
	*flow
	cable *Cable
}

func (e *unitsEnd) Write(p []byte) (int, error) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	if e.cable.client != nil {
		e.cable.client.write(p, time.Now()) // lost if the client is gone
	}
	return len(p), nil
}

func (e *unitsEnd) clientSettings() LineSettings {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	return e.cable.settings
}

// Close unplugs: the client reads what is left, then the end.
func (e *unitsEnd) Close() error {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.flow.Close()
	if e.cable.units == e.flow {
		e.cable.units = nil
		if e.cable.client != nil {
			e.cable.client.Close()
		}
	}
	return nil
}
