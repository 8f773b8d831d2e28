package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"skyhaul/modbus"
)

// portHint says what to do about a port that can't be opened.
func portHint(err error, device string) error {
	if !strings.Contains(err.Error(), "in use") {
		return err
	}
	return fmt.Errorf("%s is in use%s: if it is the daemon, it owns its lines: stop it (systemctl stop skyhaul), do this, and start it again; "+
		"or leave it running and ask its gateway, where one is configured, with --tcp", device, holder(device))
}

// endpointHint says what a refused connection means.
func endpointHint(err error, address string) error {
	var dns *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s shows a certificate that can't be trusted: %w: check --tls-ca and --tls-name, and the clock of this computer", address, untrusted.Err)
	case errors.As(err, &dns):
		return fmt.Errorf("%s: the name %q is not known: give the IP address, or check the DNS server", address, dns.Name)
	case isErrno(err, syscall.ECONNREFUSED, wsaRefused):
		return fmt.Errorf("%s refuses the connection: the host is there, but no Modbus server listens at this port (usual: 502; 802 with TLS): "+
			"is it switched on in the unit, and is another client connected where only one is allowed?", address)
	case errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return fmt.Errorf("%s does not answer: no such host, no route, or a firewall drops the packets", address)
	case isErrno(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH, wsaNetUnreachable, wsaHostUnreachable):
		return fmt.Errorf("%s can't be reached: no such host or no route: check the address, the cable and the netmask", address)
	}
	return err
}

// The errors of Windows sockets, which package syscall does not know by its own
// names.
const (
	wsaNetUnreachable  syscall.Errno = 10051
	wsaRefused         syscall.Errno = 10061
	wsaHostUnreachable syscall.Errno = 10065
)

func isErrno(err error, numbers ...syscall.Errno) bool {
	n, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains(numbers, n)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// hint adds to an error of an exchange what it means and what to do.
func (s *session) hint(err error) error {
	e, declined := errors.AsType[modbus.Exception](err)
	where := s.String()
	switch {
	case declined:
		return fmt.Errorf("%s: %w%s", where, err, exceptionHint(e))
	case errors.Is(err, modbus.ErrTimeout) && s.serial != nil:
		return fmt.Errorf("%s: %w: check power, A and B, the unit id and the settings: skyhaul modbus scan --device %s finds them", where, err, s.serial.Device)
	case errors.Is(err, modbus.ErrTimeout):
		return fmt.Errorf("%s: %w: it accepts connections, but this unit id is silent: skyhaul modbus scan --tcp %s finds those that answer", where, err, s.address)
	case errors.Is(err, modbus.ErrDamaged) && s.serial != nil:
		return fmt.Errorf("%s: %w: wrong baud rate or parity, two units with one id, or noise: skyhaul modbus scan --device %s says which", where, err, s.serial.Device)
	case errors.Is(err, modbus.ErrConn) && s.tls != nil:
		return fmt.Errorf("%s: %w: it accepted the connection and ended it: does it trust the certificate of --tls-cert, and may its role do this?", where, err)
	case errors.Is(err, modbus.ErrConn) && s.serial == nil:
		return fmt.Errorf("%s: %w: it accepted the connection and ended it: is it Modbus, is the framing right, does it allow another client?", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// exceptionHint says what a unit that declines usually means.
func exceptionHint(e modbus.Exception) string {
	switch e {
	case modbus.IllegalFunction:
		return ": the unit is there but has no such function or table: try the other one, input or holding"
	case modbus.IllegalDataAddress:
		return ": the unit is there but has not all of these addresses: try fewer, or one less or more (skyhaul modbus read --expect finds a list that is off by one)"
	case modbus.IllegalDataValue:
		return ": the unit is there but refuses this quantity or value"
	case modbus.ServerDeviceBusy:
		return ": the unit is there but busy: try again"
	case modbus.GatewayPath, modbus.GatewayTarget:
		return ": the gateway is there, the unit behind it is not: check its id and its line"
	}
	return ""
}
