package link

import (
	"context"
	"math/bits"
	"net"
	"sync"
	"time"

	"skyhaul/link/tariff"
)

// What TCP/IP adds to a stream, as an estimate that errs upwards: IPv4 without
// options, TCP with timestamps, the segment size that satellite links leave. A
// stack that acknowledges each second segment sends one empty segment for two.
const (
	header    = 20 + 20 + 12 // bytes a segment
	segment   = 1348         // bytes of payload in a full one
	syn       = header + 8   // window scale and segment size come once
	handshake = syn + header // ours: SYN, ACK; theirs is syn
	teardown  = 2 * header   // ours: FIN, ACK; theirs is header
)

// wire returns what a stretch of n bytes of a stream takes: the segments of the
// sender and the empty ones that come back.
func wire(n int) (sender, receiver int64) {
	segments := int64(n+segment-1) / segment
	return int64(n) + header*segments, header * ((segments + 1) / 2)
}

// Dial returns a dialer whose connections are counted in the ledger. dial must
// open plain TCP: what runs inside, such as TLS, is counted as it is. Each
// connection is a session under the tariff, from its first SYN to its close.
func (l *Ledger) Dial(dial func(context.Context) (net.Conn, error)) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		began := l.now().Boottime
		conn, err := dial(ctx)
		if err != nil {
			l.missed(l.now().Boottime - began)
			return nil, err
		}
		m := &meter{Conn: conn, ledger: l, began: began}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.live[m] = struct{}{}
		l.count(m, handshake, syn)
		return m, nil
	}
}

// missed counts the SYNs of a dial that came to nothing: the kernel repeats
// them after 1, 3, 7, 15 ... seconds. A session that never was has no least charge.
func (l *Ledger) missed(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll()
	up := int64(syn * bits.Len(uint(took.Seconds())+1))
	l.add(Sums{Up: up, Billed: up, Money: float64(up) / 1e6 * l.plan.PerMB})
	l.save()
}

// meter is a connection that tells the ledger of every byte.
type meter struct {
	net.Conn
	ledger *Ledger
	began  time.Duration // boottime; immutable once set
	once   sync.Once

	// Guarded by ledger.mu.
	used, reserved tariff.Usage
	counted        Sums
}

// Read counts what came. Small segments that are read together count as one;
// acknowledgements that in truth ride on data make up for it.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		down, up := wire(n)
		m.count(up, down)
	}
	return n, err
}

// Write counts before it sends, so that nothing is on the wire that is not written down.
func (m *meter) Write(p []byte) (int, error) {
	m.count(wire(len(p)))
	return m.Conn.Write(p)
}

// Close counts the end of the connection and writes the ledger down exactly.
func (m *meter) Close() error {
	m.once.Do(func() {
		l := m.ledger
		l.mu.Lock()
		defer l.mu.Unlock()
		l.count(m, teardown, header)
		delete(l.live, m)
		l.save()
	})
	return m.Conn.Close()
}

func (m *meter) count(up, down int64) {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	m.ledger.count(m, up, down)
}
