package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"skyhaul/link/mqtt"
)

func TestFirstWriteIsConnectSubscribeBirthAndPublishes(t *testing.T) {
	for version, want := range map[byte][]byte{
		4: unhex(
			"10 1e 0004 4d515454 04 ee 003c", // CONNECT: user, password, will retained at QoS 1, clean; 60 s
			"0002 7337 0002 7374 0003 6f6666 0001 75 0002 7077",
			"82 08 8000 0003 612f62 01",   // SUBSCRIBE a/b
			"33 08 0002 7374 8003 6f6e",   // birth, retained
			"32 09 0002 7570 8001 6f6e65", // "one"
			"32 09 0002 7570 8002 74776f", // "two"
		),
		5: unhex(
			"10 2d 0004 4d515454 05 ee 003c",
			"0d 11 00000e10 21 0010 27 00001000", // session expiry 3600 s, receive maximum 16, maximum packet size 4096
			"0002 7337 00 0002 7374 0003 6f6666 0001 75 0002 7077",
			"82 09 8000 00 0003 612f62 01",
			"33 09 0002 7374 8003 00 6f6e",
			"32 0a 0002 7570 8001 00 6f6e65",
			"32 0a 0002 7570 8002 00 74776f",
		),
	} {
		synctest.Test(t, func(t *testing.T) {
			s, p := open(t, mqtt.Options{
				Version: version, ClientID: "s7", User: "u", Password: []byte("pw"),
				KeepAlive: time.Minute, CleanStart: true, SessionExpiry: time.Hour,
				ReceiveMaximum: 16, MaxPacket: 4096, Subscribe: []string{"a/b"},
				Birth: &mqtt.Message{Topic: "st", Payload: []byte("on"), Retain: true},
				Will:  &mqtt.Message{Topic: "st", Payload: []byte("off"), Retain: true},
			})
			var o outcomes
			payload := []byte("one")
			if err := s.Send(t.Context(), "up", payload, o.of("one")); err != nil {
				t.Fatal(err)
			}
			copy(payload, "two") // Send has let go of it
			if err := s.Send(t.Context(), "up", payload, o.of("two")); err != nil {
				t.Fatal(err)
			}
			p.run(s, nothing)
			for range 5 {
				p.next()
			}
			p.quiet()
			if diff := cmp.Diff([][]byte{want}, p.writes.all()); diff != "" {
				t.Errorf("version %d: writes (-want +got):\n%s", version, diff)
			}
			p.stop()
		})
	}
}

func TestWhatIsSentWhileDiallingLeavesWithTheFirstWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		w := &writes{Conn: ours}
		s := mqtt.New(mqtt.Options{Dial: func(context.Context) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			return w, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- s.Run(ctx, nothing) }()
		time.Sleep(time.Second)
		var o outcomes
		s.Send(t.Context(), "up", []byte("early"), o.of("early"))
		b := make([]byte, 1000)
		n, _ := theirs.Read(b)
		if !bytes.Contains(b[:n], []byte("early")) || len(w.all()) != 1 {
			t.Errorf("%d writes, the first read brings %q", len(w.all()), b[:n])
		}
		go theirs.Read(b)
		cancel()
		if err := <-result; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, errs := o.take(); len(errs) != 1 || errs[0] == nil {
			t.Errorf("outcome %v, want one error", errs)
		}
	})
}

func TestRefusedConnectFailsWhatWasPipelined(t *testing.T) {
	for _, c := range []struct {
		version byte
		connack string
		reason  mqtt.Reason
		line    string
	}{
		{5, "20 03 00 86 00", mqtt.BadCredentials, "connect refused by the broker: bad username or password (0x86)"},
		{5, "20 0a 00 87 07 1f 0004 676f2121", mqtt.NotAuthorized, `connect refused by the broker: not authorized (0x87): "go!!"`},
		{5, "20 03 00 88 00", mqtt.ServerUnavailable, "connect refused by the broker: server unavailable (0x88)"},
		{5, "20 02 00 01", 0x84, "connect refused by the broker: unsupported protocol version (0x84)"}, // a broker of 3.1.1
		{4, "20 02 00 04", mqtt.BadCredentials, "connect refused by the broker: bad username or password (0x86)"},
		{4, "20 02 00 05", mqtt.NotAuthorized, "connect refused by the broker: not authorized (0x87)"},
		{4, "20 02 00 03", mqtt.ServerUnavailable, "connect refused by the broker: server unavailable (0x88)"},
		{4, "20 02 00 77", 0x80, "connect refused by the broker: unspecified error (0x80)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, p := open(t, mqtt.Options{Version: c.version, Subscribe: []string{"x"}, Password: []byte("hush"), User: "u"})
			var o outcomes
			for _, m := range []string{"one", "two", "three"} {
				if err := s.Send(t.Context(), "up", []byte(m), o.of(m)); err != nil {
					t.Fatal(err)
				}
			}
			p.run(s, nothing)
			p.expect(packets.Connect)
			p.expect(packets.Subscribe)
			p.expectPublish("one", "two", "three")
			p.send(c.connack)
			err := p.outcome()
			refused, ok := errors.AsType[*mqtt.RefusedError](err)
			if !ok || refused.What != "connect" || refused.Reason != c.reason || err.Error() != c.line {
				t.Errorf("Run returned %v (%+v), want %s", err, refused, c.line)
			}
			payloads, errs := o.take()
			if diff := cmp.Diff([]string{"one", "two", "three"}, payloads); diff != "" {
				t.Error(diff)
			}
			for _, e := range errs {
				if !errors.Is(e, err) {
					t.Errorf("outcome %v doesn't wrap what Run returned", e)
				}
			}
			if err := s.Send(t.Context(), "up", nil, nil); !errors.Is(err, refused) {
				t.Errorf("Send after the end: %v", err)
			}
			if len(p.writes.all()) != 1 {
				t.Errorf("said something more after the refusal: %q", p.writes.all()[1:])
			}
		})
	}
}

// A broker that hangs up on the pipelined bytes must not hide its refusal
// behind our failed write.
func TestRefusalOutweighsAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		failing := &failingWriter{Conn: ours}
		s := mqtt.New(mqtt.Options{Dial: func(context.Context) (net.Conn, error) { return failing, nil }})
		result := make(chan error)
		go func() { result <- s.Run(t.Context(), nothing) }()
		synctest.Wait() // the write has failed
		theirs.Write(unhex("20 03 00 87 00"))
		if _, ok := errors.AsType[*mqtt.RefusedError](<-result); !ok {
			t.Error("the refusal got lost")
		}
	})
}

func TestFailedWriteEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		s := mqtt.New(mqtt.Options{Dial: func(context.Context) (net.Conn, error) { return &failingWriter{Conn: ours}, nil }})
		if err := s.Run(t.Context(), nothing); !errors.Is(err, errBrokenPipe) {
			t.Errorf("Run: %v, want the failed write", err)
		}
	})
}

var errBrokenPipe = errors.New("broken pipe")

type failingWriter struct{ net.Conn }

func (failingWriter) Write([]byte) (int, error) { return 0, errBrokenPipe }

func TestNothingIsSaidWhenTheCallerHasGivenUpDuringTheDial(t *testing.T) {
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	s := mqtt.New(mqtt.Options{Dial: func(context.Context) (net.Conn, error) {
		cancel()
		return ours, nil
	}})
	said := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(theirs)
		said <- b
	}()
	if err := s.Run(ctx, nothing); err != nil {
		t.Errorf("Run: %v", err)
	}
	if b := <-said; len(b) > 0 {
		t.Errorf("%x, want silence", b)
	}
}

func TestDialErrorFailsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noRoute := errors.New("no route to host")
		s := mqtt.New(mqtt.Options{Dial: func(context.Context) (net.Conn, error) { return nil, noRoute }})
		var o outcomes
		s.Send(t.Context(), "up", []byte("x"), o.of("x"))
		if err := s.Run(t.Context(), nothing); !errors.Is(err, noRoute) {
			t.Errorf("Run: %v", err)
		}
		if _, errs := o.take(); len(errs) != 1 || !errors.Is(errs[0], noRoute) {
			t.Errorf("outcome %v", errs)
		}
		if err := s.Run(t.Context(), nothing); err == nil || errors.Is(err, noRoute) {
			t.Error("ran twice")
		}
	})
}

func TestRefusedSubscriptionEndsTheSession(t *testing.T) {
	for _, c := range []struct {
		version byte
		suback  string
		reason  mqtt.Reason
	}{
		{5, "90 05 8000 00 01 87", mqtt.NotAuthorized},
		{5, "90 05 8000 00 01 00", 0x9b}, // granted QoS 0: deliveries could get lost
		{4, "90 04 8000 01 80", 0x80},
	} {
		synctest.Test(t, func(t *testing.T) {
			connack := connackOK
			if c.version == 4 {
				connack = "20 02 00 00"
			}
			_, p := start(t, mqtt.Options{Version: c.version, Subscribe: []string{"a", "b"}}, nothing, connack)
			p.expect(packets.Subscribe)
			p.send(c.suback)
			err := p.outcome()
			if e, ok := errors.AsType[*mqtt.RefusedError](err); !ok || e.What != "subscribe b" || e.Reason != c.reason {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestSessionPresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, mqtt.Options{SessionExpiry: time.Hour, Subscribe: []string{"a"}}, nothing, "20 03 01 00 00")
		p.expect(packets.Subscribe)
		p.stop()
		_, p = start(t, mqtt.Options{CleanStart: true}, nothing, "20 03 01 00 00")
		if err := p.outcome(); err == nil || !strings.Contains(err.Error(), "clean start") {
			t.Errorf("a session that can't be there was taken: %v", err)
		}
	})
}

func TestBirthIsRetainedAsGivenAndItsRefusalIsNotFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, mqtt.Options{Birth: &mqtt.Message{Topic: "b", Payload: []byte("on")}}, nothing, connackOK)
		pk := p.expect(packets.Publish)
		if pk.FixedHeader.Retain {
			t.Error("retained unasked")
		}
		p.send("40 03 8001 87")
		p.quiet()
		p.stop()
	})
}

func TestBrokersDisconnectIsARefusal(t *testing.T) {
	for packet, reason := range map[string]mqtt.Reason{
		"e0 01 8e":                     0x8e,
		"e0 00":                        0,
		"e0 09 8b 07 1f 0004 62796521": 0x8b,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, p := start(t, mqtt.Options{}, nothing, connackOK)
			p.send(packet)
			err := p.outcome()
			if e, ok := errors.AsType[*mqtt.RefusedError](err); !ok || e.What != "session" || e.Reason != reason {
				t.Errorf("Run: %v", err)
			}
		})
	}
}
