package mqtt

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	// dialTimeout bounds name look-up, TCP and TLS handshake together: five
	// round trips of 3 s, 6 kB at 9.6 kbit/s and three lost segments.
	dialTimeout = time.Minute
	// fallbackDelay is how long one address family is tried alone. Go's 300 ms is
	// shorter than a satellite round trip: every connect would pay for two SYNs.
	fallbackDelay = 5 * time.Second
)

// DialTCP dials host:port in the clear.
func DialTCP(addr string) Dialer {
	d := net.Dialer{
		Timeout:       dialTimeout,
		FallbackDelay: fallbackDelay,
		KeepAlive:     -1, // TCP's own probes cost 100 B each 15 s; PINGREQ does their work
	}
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("broker %s: %w", addr, err)
		}
		return conn, nil
	}
}
