package mqtt_test

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"skyhaul/link/mqtt"
)

// counting counts the bytes of its connections, both ways, and says when one has
// ended.
type counting struct {
	net.Listener
	bytes  atomic.Int64
	closed chan bool
}

type countingConn struct {
	net.Conn
	*counting
	end sync.Once
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{Conn: c, counting: l}, err
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.Conn.Write(p)
}

func (c *countingConn) Close() error {
	c.end.Do(func() { c.closed <- true })
	return c.Conn.Close()
}

// A session that delivers 1 KiB costs 2.1 kB of TCP payload when TLS resumes;
// beyond that each 16 KiB, and no less, costs a record of 22 B.
func TestSessionCostsNoMoreThanItsBudget(t *testing.T) {
	a := newAuthority(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &counting{Listener: l, closed: make(chan bool, 3)}
	serveMochi(t, tls.NewListener(counted, a.server("broker")))
	dial, err := mqtt.DialTLS(mqtt.DialTCP(l.Addr().String()), l.Addr().String(), mqtt.TLSOptions{CAFile: a.file})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what           string
		payload, spent int
	}{
		{"cold", 1024, 2500},
		{"resumed", 1024, 2100},
		{"resumed, 256 KiB", 256 << 10, 256<<10 + 1416},
	} {
		before := counted.bytes.Load()
		s := mqtt.New(mqtt.Options{Dial: dial, ClientID: "site-0001", CleanStart: true, ReceiveMaximum: 65535})
		acked := make(chan error, 1)
		if err := s.Send(t.Context(), "s/0001/b", make([]byte, c.payload), func(err error) { acked <- err }); err != nil {
			t.Fatal(err)
		}
		stop := background(t, s, nothing)
		if err := <-acked; err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		<-counted.closed
		if got := int(counted.bytes.Load() - before); got > c.spent {
			t.Errorf("%s: %d bytes, want at most %d", c.what, got, c.spent)
		} else {
			t.Logf("%s: %d bytes of %d", c.what, got, c.spent)
		}
	}
}
