// Package serial opens a serial port as a connection with deadlines, on top of
// go.bug.st/serial.
//
// What that library leaves open is closed here. Reads have deadlines and never
// return (0, nil); a write that the driver doesn't take ends at its deadline; a
// panic in the library becomes an error of the port; the file descriptor is not
// passed on to child processes; a second opening is refused, also for root; the
// port can be opened again after its adapter was unplugged. The library's list
// of ports, which on Linux opens and reconfigures ports in use, is asked for on
// other systems only.
//
// On Linux a second descriptor of the device, opened first, holds the lock and
// serves what the library has no call for: RS-485, low latency, the counts of
// line errors. A driver that knows nothing of these goes without, as do other
// systems.
package serial

import (
	"fmt"
	"slices"
	"time"

	bugst "go.bug.st/serial"
)

// Parity is the parity bit, by the letter it has in notations such as 8E1.
type Parity byte

// The parities. The zero value is none.
const (
	NoParity    Parity = 'N'
	EvenParity  Parity = 'E'
	OddParity   Parity = 'O'
	MarkParity  Parity = 'M'
	SpaceParity Parity = 'S'
)

// Config says how to open a port.
type Config struct {
	Device   string // path; best one that survives replugging, below /dev/serial/by-id or by-path; on Windows such as COM3
	Baud     int    // bits per second, any that the driver takes
	DataBits int    // 5 to 8; 0 means 8, which RTU needs
	Parity   Parity // 0 means none
	StopBits int    // 1 or 2; 0 means 1
	RS485    *RS485 // nil leaves the direction to the adapter
}

// RS485 lets the driver switch a transceiver between sending and receiving by
// RTS, on Linux where the driver can. Most USB adapters do it on their own.
type RS485 struct {
	RTSAfterSend bool          // RTS is on while receiving; else while sending
	HearSelf     bool          // the receiver stays on while sending
	Terminate    bool          // the bus is terminated here
	DelayBefore  time.Duration // from RTS to the first bit, 0 to 100 whole milliseconds
	DelayAfter   time.Duration // from the last bit to RTS, likewise
}

// valid reports whether the kernel can keep the delays.
func (r RS485) valid() bool {
	for _, d := range []time.Duration{r.DelayBefore, r.DelayAfter} {
		if d < 0 || d > 100*time.Millisecond || d%time.Millisecond != 0 {
			return false
		}
	}
	return true
}

// withDefaults returns c with its zero values filled in, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.DataBits == 0 {
		c.DataBits = 8
	}
	if c.Parity == 0 {
		c.Parity = NoParity
	}
	if c.StopBits == 0 {
		c.StopBits = 1
	}
	switch {
	case c.Device == "":
		return c, fmt.Errorf("open serial port: no device")
	case c.Baud < 50 || c.Baud > 4_000_000:
		return c, fmt.Errorf("open %s: %d baud is not 50 to 4000000", c.Device, c.Baud)
	case c.DataBits < 5 || c.DataBits > 8:
		return c, fmt.Errorf("open %s: %d data bits are not 5 to 8", c.Device, c.DataBits)
	case !slices.Contains(parities, c.Parity):
		return c, fmt.Errorf("open %s: parity %q is not N, E, O, M or S", c.Device, c.Parity)
	case c.StopBits != 1 && c.StopBits != 2:
		return c, fmt.Errorf("open %s: %d stop bits are not 1 or 2", c.Device, c.StopBits)
	case c.RS485 != nil && !c.RS485.valid():
		return c, fmt.Errorf("open %s: RS-485 delays %v and %v are not 0 to 100 whole milliseconds", c.Device, c.RS485.DelayBefore, c.RS485.DelayAfter)
	}
	return c, nil
}

// parities stand as the library numbers them.
var parities = []Parity{NoParity, OddParity, EvenParity, MarkParity, SpaceParity}

// mode returns the settings in the library's words. The data bits and the
// default of the modem lines, both on, are the same there.
func (c Config) mode() *bugst.Mode {
	m := &bugst.Mode{
		BaudRate: c.Baud,
		DataBits: c.DataBits,
		Parity:   bugst.Parity(slices.Index(parities, c.Parity)),
		StopBits: bugst.OneStopBit,
	}
	if c.StopBits == 2 {
		m.StopBits = bugst.TwoStopBits
	}
	return m
}

// String returns the settings as engineers write them, such as "9600 8N1".
func (c Config) String() string {
	c, _ = c.withDefaults()
	return fmt.Sprintf("%d %d%c%d", c.Baud, c.DataBits, c.Parity, c.StopBits)
}

// Bit returns how long one bit lasts.
func (c Config) Bit() time.Duration { return time.Second / time.Duration(c.Baud) }

// CharBits returns how many bits a character takes on the line: the start bit,
// data, parity and stop bits. 10 for 8N1, 11 for 8E1.
func (c Config) CharBits() int {
	c, _ = c.withDefaults()
	n := 1 + c.DataBits + c.StopBits
	if c.Parity != NoParity {
		n++
	}
	return n
}
