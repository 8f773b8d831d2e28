package modbus

import (
	"fmt"
	"io"
	"time"
)

// Conn is what a framing works on: a serial port, a TCP connection or a pipe.
// A Read or Write past its deadline returns [os.ErrDeadlineExceeded]; setting a
// deadline also wakes a call that waits already, and no call returns (0, nil).
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Framing says how PDUs travel on a connection.
type Framing uint8

// The framings.
const (
	RTU          Framing = iota // unit id, PDU and CRC on a line, frames 3.5 characters apart. Serial, section 2.5.1
	TCP                         // MBAP header and PDU. TCP, section 3.1
	RTUOverTCP                  // RTU frames in a stream without the pauses, as serial device servers pass them on
	ASCII                       // unit id, PDU and LRC as hexadecimal digits between colon and CR LF. Serial, section 2.5.2
	ASCIIOverTCP                // ASCII frames in a stream
)

var framingNames = [...]string{"rtu", "tcp", "rtu over tcp", "ascii", "ascii over tcp"}

// String returns the name of the framing, such as "rtu over tcp".
func (f Framing) String() string {
	if int(f) < len(framingNames) {
		return framingNames[f]
	}
	return fmt.Sprintf("framing(%d)", uint8(f))
}

// OverTCP reports whether frames travel on a network, which may hold bytes back
// and which a dead unit can't be told from a dead peer on.
func (f Framing) OverTCP() bool { return f == TCP || f == RTUOverTCP || f == ASCIIOverTCP }

// LineTiming says how long a line takes to carry bytes. The zero value is a
// connection that takes no time.
type LineTiming struct {
	Bit      time.Duration // length of one bit: a second divided by the baud rate
	CharBits int           // bits of one character with start, parity and stop bits: 10 or 11
}

// fixedT35 replaces 3.5 characters above 19200 baud. Serial, section 2.5.1.1.
const fixedT35 = 1750 * time.Microsecond

// Wire returns how long n bytes take.
func (t LineTiming) Wire(n int) time.Duration {
	return time.Duration(n*t.CharBits) * t.Bit
}

// T35 returns the silence that separates two frames.
func (t LineTiming) T35() time.Duration {
	if t.Bit > 0 && t.Bit < time.Second/19200 {
		return fixedT35
	}
	return t.Wire(7) / 2
}
