//go:build !linux

package sim

import (
	"errors"

	"skyhaul/modbus"
)

// PTY returns an [Options.Open] that fails: only Linux has these ptys.
func PTY(string) func() (modbus.Conn, error) {
	return func() (modbus.Conn, error) {
		return nil, errors.New("open pty: only on linux")
	}
}
