package sim

import (
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// PTY returns an [Options.Open] that makes a pty and lets the symbolic link
// name its clients' end, until the pty is closed. An older link is replaced,
// any other file is not. A pty carries bytes at once, whatever baud rate the
// client sets; the line's timing is the simulation's.
//
// Of the client's settings a pty keeps the baud rate and the stop bits; of
// parity whether it is checked (INPCK) and odd. Clients that set INPCK with
// parity, as go.bug.st/serial and libmodbus do, are understood; one that sets
// parity alone (pyserial) looks as if it had none. Data bits are those of the units.
func PTY(link string) func() (modbus.Conn, error) {
	return func() (modbus.Conn, error) {
		units, client, err := pty.Open()
		if err != nil {
			return nil, fmt.Errorf("open pty: %v", err)
		}
		p := &ptyPort{units, client, link}
		if err := p.plug(); err != nil {
			p.Close()
			return nil, fmt.Errorf("link %s to pty: %v", link, err)
		}
		return p, nil
	}
}

// ptyPort is the units' end of a pty. It holds the clients' end open too, else
// the units' end would fail to read whenever no client has it open.
type ptyPort struct {
	*os.File
	client *os.File
	link   string
}

func (p *ptyPort) plug() error {
	// The pty package leaves it blocking: Close would wait for a Read.
	if err := unix.SetNonblock(int(p.Fd()), true); err != nil {
		return err
	}
	if _, err := term.MakeRaw(int(p.client.Fd())); err != nil {
		return err
	}
	if old, err := os.Lstat(p.link); err == nil && old.Mode().Type() == os.ModeSymlink {
		os.Remove(p.link)
	}
	return os.Symlink(p.client.Name(), p.link)
}

// Read lets the next client in as well: one that was killed could not take its
// claim to be the only one (TIOCEXCL) back, and p.client keeps the claim alive.
func (p *ptyPort) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if raw, connErr := p.client.SyscallConn(); connErr == nil {
		raw.Control(func(fd uintptr) { unix.IoctlSetInt(int(fd), unix.TIOCNXCL, 0) })
	}
	return n, err
}

func (p *ptyPort) Close() error {
	if to, err := os.Readlink(p.link); err == nil && to == p.client.Name() {
		os.Remove(p.link)
	}
	p.client.Close()
	return p.File.Close()
}

// clientSettings returns what the client set, as far as a pty keeps it.
func (p *ptyPort) clientSettings() (s LineSettings) {
	raw, err := p.client.SyscallConn()
	if err != nil {
		return LineSettings{}
	}
	raw.Control(func(fd uintptr) {
		t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2)
		if err == nil {
			s = settingsFrom(t)
		}
	})
	return s
}

func settingsFrom(t *unix.Termios) LineSettings {
	s := LineSettings{Baud: int(t.Ospeed), Parity: serial.NoParity, StopBits: 1}
	if t.Cflag&unix.CSTOPB != 0 {
		s.StopBits = 2
	}
	odd, sticky := t.Cflag&unix.PARODD != 0, t.Cflag&unix.CMSPAR != 0
	switch {
	case t.Iflag&unix.INPCK == 0:
	case sticky && odd:
		s.Parity = serial.MarkParity
	case sticky:
		s.Parity = serial.SpaceParity
	case odd:
		s.Parity = serial.OddParity
	default:
		s.Parity = serial.EvenParity
	}
	return s
}
