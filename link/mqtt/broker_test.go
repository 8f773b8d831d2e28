package mqtt_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"skyhaul/link/mqtt"
)

// brokers are those that a session has to get on with; each starts one on
// loopback and returns how to talk to it.
var brokers = map[string]func(testing.TB) mqtt.Options{
	"mosquitto": func(t testing.TB) mqtt.Options {
		// The queue is without limit: the test is not about what mosquitto drops.
		return mqtt.Options{Dial: mqtt.DialTCP(startMosquitto(t, "allow_anonymous true\nmax_queued_messages 0\n"))}
	},
	// Towards a client that states a Receive Maximum mochi v2.7.9 loses order
	// and stalls when that is reached (server.go:720, 1089), and may lock itself
	// up sooner (inflight.go:95-99). 65,535 isn't stated.
	"mochi": func(t testing.TB) mqtt.Options {
		return mqtt.Options{Dial: mqtt.DialTCP(startMochi(t)), ReceiveMaximum: 65535}
	},
}

func startMochi(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveMochi(t, l)
	return l.Addr().String()
}

func serveMochi(t testing.TB, l net.Listener) {
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.AddListener(listeners.NewNet("test", l)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
}

// startMosquitto starts Debian's mosquitto with these lines after its listener's.
func startMosquitto(t testing.TB, config string) string {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("mosquitto is not installed")
		}
		t.Skip("mosquitto is not installed")
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	config = fmt.Sprintf("user root\nlistener %s 127.0.0.1\nset_tcp_nodelay true\n%s", port, config)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", file)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.HasSuffix(lines.Text(), " running") {
			go io.Copy(io.Discard, log)
			return addr
		}
	}
	t.Fatalf("mosquitto did not start with\n%s", config)
	return ""
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
