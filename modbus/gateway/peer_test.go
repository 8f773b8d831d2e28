package gateway

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"skyhaul/modbus"
)

// mbpoll asks the gateway as many engineers would.
func mbpoll(t *testing.T, p place, args ...string) (out string, err error) {
	t.Helper()
	path, err := exec.LookPath("mbpoll")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	b, err := exec.Command(path, append([]string{"-m", "tcp", "-p", port, "-0", "-1", "-q", "-o", "5", host}, args...)...).CombinedOutput()
	return string(b), err
}

func TestMbpollIsAClient(t *testing.T) {
	p := open(t, modbus.Units{5: numbered()}, line115200, Options{}, DoorOptions{Writes: []Write{{Unit: 5, First: 10, Last: 10}}})
	for _, tt := range []struct {
		args []string
		want string // in what it prints
		ok   bool
	}{
		{[]string{"-a", "5", "-t", "4", "-r", "100", "-c", "3"}, "[102]: \t102", true},
		{[]string{"-a", "5", "-t", "0", "-r", "7", "-c", "1"}, "[7]: \t1", true},
		{[]string{"-a", "5", "-t", "4", "-r", "1000", "-c", "1"}, "Illegal data address", false},
		{[]string{"-a", "9", "-t", "4", "-r", "0", "-c", "1"}, "Target device failed to respond", false},
		{[]string{"-a", "5", "-t", "4", "-r", "10", "--", "4711"}, "Written 1 reference", true},
		{[]string{"-a", "5", "-t", "4", "-r", "10", "-c", "1"}, "[10]: \t4711", true},
		{[]string{"-a", "5", "-t", "4", "-r", "11", "--", "4711"}, "Illegal function", false},
	} {
		out, err := mbpoll(t, p, tt.args...)
		if !strings.Contains(out, tt.want) || (err == nil) != tt.ok {
			t.Errorf("mbpoll %v: %v\n%s", tt.args, err, out)
		}
	}
}
