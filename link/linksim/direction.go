package linksim

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// segment is how many bytes are sent at a time: the payload of a TCP segment
// of the usual size on a satellite link.
const segment = 1348

// queued bounds the segments on their way in one direction of a connection.
const queued = 512

// direction is one way of the link, shared by all its connections: one
// transmitter with one rate.
type direction struct {
	rate    int           // bytes per second, 0 for no limit; immutable once set
	delay   time.Duration // immutable once set
	carried atomic.Int64  // bytes

	mu   sync.Mutex
	free time.Time // when the transmitter has sent all it was given; guarded by mu
}

// transmit takes n bytes and returns when the last of them has left.
func (d *direction) transmit(n int) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.free.Before(now) {
		d.free = now
	}
	if d.rate > 0 {
		d.free = d.free.Add(time.Duration(n) * time.Second / time.Duration(d.rate))
	}
	return d.free
}

// parcel is a piece of a stream with the time at which it reaches the far end.
type parcel struct {
	data []byte
	due  time.Time
}

// pump carries one direction of a connection until the stream ends, which it
// hands on, or ctx does.
func (d *direction) pump(ctx context.Context, g *gate, dst, src *net.TCPConn) {
	flying := make(chan parcel, queued)
	go d.send(ctx, g, src, flying)
	for p := range flying {
		if !sleep(ctx, time.Until(p.due)) || !g.await(ctx) {
			continue // drain the channel, so that send ends
		}
		d.carried.Add(int64(len(p.data)))
		dst.Write(p.data)
	}
	if ctx.Err() == nil {
		dst.CloseWrite()
	}
}

// send takes the stream off src as fast as the transmitter works.
func (d *direction) send(ctx context.Context, g *gate, src io.Reader, flying chan<- parcel) {
	defer close(flying)
	for {
		b := make([]byte, segment)
		n, err := src.Read(b)
		if err != nil || !g.await(ctx) {
			return
		}
		sent := d.transmit(n)
		flying <- parcel{b[:n], sent.Add(d.delay)}
		if !sleep(ctx, time.Until(sent)) {
			return
		}
	}
}
