// Package systemd is what skyhaul knows of its supervisor: the notifications
// of sd_notify(3), a keep-alive that must be earned, and the files that make
// the programs services. Where there is no systemd all of it does nothing.
//
// Why a unit says what it says stands in the unit itself, below root.
package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Socket is the content of NOTIFY_SOCKET: a path, or an abstract name after
// '@'. Empty is no systemd.
type Socket string

// What Notify is told, beside Status and Extend. See sd_notify(3).
const (
	Ready     = "READY=1"
	Reloading = "RELOADING=1" // to be followed by Ready
	Stopping  = "STOPPING=1"
	Alive     = "WATCHDOG=1"
)

// Status is one line for systemctl status.
func Status(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

// Extend asks for d from now on before a start, reload or stop counts as hung.
// Systemd takes it only where it reaches beyond the unit's own timeout.
func Extend(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// Notify sends the lines as one notification. It waits for systemd at most a
// second. Safe for concurrent use.
func (s Socket) Notify(lines ...string) error {
	if s == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: string(s)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	return err
}

// WatchdogInterval reads WATCHDOG_USEC and WATCHDOG_PID: the time after which
// systemd takes this process for hung, 0 where it does not watch.
func WatchdogInterval(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseUint(getenv("WATCHDOG_USEC"), 10, 50)
	if err != nil {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}
