package mqtt_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"skyhaul/link/mqtt"
)

// BenchmarkToMochi is 1 KiB QoS 1 PUBLISHes to mochi on loopback, 100 in flight.
// Allocations are mochi's too.
func BenchmarkToMochi(b *testing.B) {
	benchmark(b, mqtt.DialTCP(startMochi(b)))
}

// BenchmarkToAcker is the same to a peer that does nothing but acknowledge and
// allocates nothing.
func BenchmarkToAcker(b *testing.B) {
	benchmark(b, func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go acknowledge(theirs)
		return ours, nil
	})
}

func benchmark(b *testing.B, dial mqtt.Dialer) {
	s := mqtt.New(mqtt.Options{Dial: dial, ClientID: "bench", CleanStart: true, ReceiveMaximum: 65535})
	ctx, cancel := context.WithCancel(b.Context())
	result := make(chan error)
	go func() { result <- s.Run(ctx, nothing) }()
	payload := make([]byte, 1024)
	failed := make(chan error, 1)
	last := make(chan bool, 1)
	sent := 0
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	acked := func(err error) {
		if err != nil {
			failed <- err
		}
	}
	for b.Loop() {
		if err := s.Send(b.Context(), "site/up", payload, acked); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	s.Send(b.Context(), "site/up", payload, func(error) { last <- true })
	<-last
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "msg/s")
	cancel()
	if err := <-result; err != nil {
		b.Fatal(err)
	}
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

// acknowledge plays a broker without limits: CONNACK, then a PUBACK for each
// PUBLISH.
func acknowledge(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	out := bufio.NewWriter(conn)
	for {
		first, err := r.ReadByte()
		if err != nil {
			return
		}
		n, err := binary.ReadUvarint(r) // the remaining length has the same form
		if err != nil {
			return
		}
		switch first >> 4 {
		case 1:
			out.Write(unhex(connackOK))
		case 3:
			head, err := r.Peek(2 + len("site/up") + 2)
			if err != nil {
				return
			}
			id := head[len(head)-2:]
			out.Write(append([]byte{0x40, 2}, id...))
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			return
		}
		if r.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}
