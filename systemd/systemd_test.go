package systemd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"skyhaul/systemd"
)

func TestNotifyReachesPathAndAbstractSockets(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("unix datagram sockets")
	}
	for _, name := range []string{
		filepath.Join(t.TempDir(), "notify"),
		fmt.Sprintf("@skyhaul-test-%d-%d", os.Getpid(), time.Now().UnixNano()),
	} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s := systemd.Socket(name)
		if err := s.Notify(systemd.Ready, systemd.Status("two\nlines"), systemd.Extend(90*time.Second)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		want := "READY=1\nSTATUS=two lines\nEXTEND_TIMEOUT_USEC=90000000"
		if got := string(buf[:n]); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestWithoutSystemdNotifyDoesNothing(t *testing.T) {
	if err := systemd.Socket("").Notify(systemd.Ready); err != nil {
		t.Fatal(err)
	}
}

func TestNotifySaysThatTheSocketIsGone(t *testing.T) {
	if err := systemd.Socket(filepath.Join(t.TempDir(), "gone")).Notify(systemd.Alive); err == nil {
		t.Fatal("no error")
	}
}

func TestWatchdogIntervalIsForThisProcessOnly(t *testing.T) {
	tests := []struct {
		usec, pid string
		want      time.Duration
	}{
		{"60000000", "", time.Minute},
		{"60000000", fmt.Sprint(os.Getpid()), time.Minute},
		{"60000000", "1", 0},
		{"", "", 0},
		{"-1", "", 0},
		{strings.Repeat("9", 20), "", 0},
	}
	for _, test := range tests {
		env := map[string]string{"WATCHDOG_USEC": test.usec, "WATCHDOG_PID": test.pid}
		got := systemd.WatchdogInterval(func(key string) string { return env[key] })
		if got != test.want {
			t.Errorf("%q for process %q: %v, want %v", test.usec, test.pid, got, test.want)
		}
	}
}
