package linksim_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"skyhaul/link/linksim"
)

// echo serves a port of the loopback that sends back whatever comes.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// start runs a relay for the length of the test.
func start(t *testing.T, o linksim.Options) *linksim.Relay {
	t.Helper()
	o.Target = echo(t)
	r, err := linksim.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return r
}

func dial(t *testing.T, r *linksim.Relay) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// there sends p and waits until all of it has come back.
func there(t *testing.T, c net.Conn, p []byte) time.Duration {
	t.Helper()
	began := time.Now()
	go c.Write(p)
	got := make([]byte, len(p))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("echo: %v", err)
	}
	if !bytes.Equal(got, p) {
		t.Fatal("the echo differs from what was sent")
	}
	return time.Since(began)
}

func TestDelayIsTheRoundTripAndTheHandshakeIsMadeUpFor(t *testing.T) {
	const delay = 20 * time.Millisecond
	r := start(t, linksim.Options{Delay: delay})
	c := dial(t, r)
	if d := there(t, c, []byte("first")); d < 4*delay {
		t.Errorf("first bytes came back after %v, want two round trips = %v or more", d, 4*delay)
	}
	if d := there(t, c, []byte("second")); d < 2*delay || d > 2*delay+time.Second {
		t.Errorf("second bytes came back after %v, want about %v", d, 2*delay)
	}
}

func TestRateIsSharedByAllConnections(t *testing.T) {
	r := start(t, linksim.Options{UpRate: 200_000})
	p := make([]byte, 20_000)
	began := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		c := dial(t, r)
		wg.Go(func() { there(t, c, p) })
	}
	wg.Wait()
	if d := time.Since(began); d < 200*time.Millisecond {
		t.Errorf("40 kB at 200 kB/s took %v, want 200 ms or more", d)
	}
}

func TestEveryByteIsCounted(t *testing.T) {
	r := start(t, linksim.Options{})
	c := dial(t, r)
	there(t, c, make([]byte, 5_000))
	there(t, c, make([]byte, 1))
	want := linksim.Counts{Connections: 1, Up: 5_001, Down: 5_001}
	if got := r.Counts(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEndOfStreamIsHandedOn(t *testing.T) {
	r := start(t, linksim.Options{})
	c := dial(t, r)
	there(t, c, []byte("x"))
	c.(*net.TCPConn).CloseWrite()
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %d bytes, %v; want EOF", n, err)
	}
}

func TestStalledBytesGoOnWhenTheLinkOpens(t *testing.T) {
	r := start(t, linksim.Options{OnClose: linksim.Stall})
	c := dial(t, r)
	there(t, c, []byte("before"))
	r.SetOpen(false)
	time.AfterFunc(50*time.Millisecond, func() { r.SetOpen(true) })
	if d := there(t, c, []byte("during")); d < 50*time.Millisecond {
		t.Errorf("bytes passed a closed link after %v", d)
	}
}

func TestResetIsToldToBothEnds(t *testing.T) {
	r := start(t, linksim.Options{OnClose: linksim.Reset})
	c := dial(t, r)
	there(t, c, []byte("before"))
	r.SetOpen(false)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a connection reset", err)
	}
	r.SetOpen(true)
	there(t, dial(t, r), []byte("after"))
}

func TestBlackHoleTellsNobody(t *testing.T) {
	r := start(t, linksim.Options{OnClose: linksim.BlackHole})
	c := dial(t, r)
	there(t, c, []byte("before"))
	r.SetOpen(false)
	c.Write([]byte("during"))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v; want silence", n, err)
	}
	r.SetOpen(true)
	there(t, dial(t, r), []byte("after"))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v on the old connection; want silence for ever", n, err)
	}
}

func TestScheduleOpensAndCloses(t *testing.T) {
	began := time.Now()
	opening := began.Add(80 * time.Millisecond)
	r := start(t, linksim.Options{Schedule: func(now time.Time) (bool, time.Time) {
		if now.Before(opening) {
			return false, opening
		}
		return true, time.Time{}
	}})
	c := dial(t, r)
	there(t, c, []byte("x"))
	if d := time.Since(began); d < 80*time.Millisecond {
		t.Errorf("bytes passed after %v, before the link opened", d)
	}
}

func TestTargetThatRefusesIsAReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r, err := linksim.Listen(linksim.Options{Target: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	c, err := net.Dial("tcp", r.Addr())
	if err == nil { // else the RST came first
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a connection reset", err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
