package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"skyhaul/link/mqtt"
)

// sendAll hands in payloads one after the other, from a goroutine of its own.
func sendAll(t *testing.T, s *mqtt.Session, o *outcomes, payloads ...string) {
	go func() {
		for _, m := range payloads {
			if err := s.Send(t.Context(), "up", []byte(m), o.of(m)); err != nil {
				o.of(m)(err)
			}
		}
	}()
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return all
}

func TestReceiveMaximumOneSendsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := open(t, mqtt.Options{
			Limits: &mqtt.Limits{ReceiveMaximum: 1},
			Birth:  &mqtt.Message{Topic: "b", Payload: []byte("birth")},
		})
		sendAll(t, s, &o, "one", "two")
		synctest.Wait()
		p.run(s, nothing)
		p.expect(packets.Connect)
		ids := p.expectPublish("birth")
		p.quiet()
		p.send("20 06 00 00 03 21 0001")
		p.quiet()
		for _, m := range []string{"one", "two"} {
			p.puback(ids...)
			ids = p.expectPublish(m)
			p.quiet()
		}
		p.puback(ids...)
		p.stop()
		payloads, errs := o.take()
		if diff := cmp.Diff([]string{"one", "two"}, payloads); diff != "" || errors.Join(errs...) != nil {
			t.Error(diff, errs)
		}
	})
}

func TestColdStartSendsTwentyBeforeConnackAndThenWhatItAllows(t *testing.T) {
	for _, c := range []struct {
		connack string
		allowed int
	}{
		{"20 06 00 00 03 21 0019", 25},
		{"20 06 00 00 03 21 0005", 20}, // already too many; no more until they are settled
		{connackOK, 100},               // Receive Maximum 65,535, our own limit 100
	} {
		synctest.Test(t, func(t *testing.T) {
			var o outcomes
			all := numbered(120)
			s, p := open(t, mqtt.Options{})
			p.run(s, nothing)
			sendAll(t, s, &o, all...)
			p.expect(packets.Connect)
			p.expectPublish(all[:20]...)
			p.quiet()
			p.send(c.connack)
			p.expectPublish(all[20:c.allowed]...)
			p.quiet()
			p.stop()
		})
	}
}

func TestReceiveMaximum65535UsesNoIDTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, mqtt.Options{InFlight: 100_000, Limits: &mqtt.Limits{ReceiveMaximum: 65535}})
		const most = 65534 // SUBSCRIBE has the other
		for range most {
			if err := s.Send(t.Context(), "u", nil, func(error) {}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Send(ctx, "u", nil, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("one too many: %v", err)
		}
		p.run(s, nothing)
		p.expect(packets.Connect)
		seen := make(map[uint16]bool)
		for range most {
			seen[p.expect(packets.Publish).PacketID] = true
		}
		if len(seen) != most || seen[0] || seen[0x8000] {
			t.Errorf("%d different ids, want %d without 0 and SUBSCRIBE's", len(seen), most)
		}
		p.send(connackOK)
		p.puback(7)
		go s.Send(t.Context(), "u", nil, func(error) {})
		if id := p.expect(packets.Publish).PacketID; id != 7 {
			t.Errorf("id %d, but only 7 is free", id)
		}
		p.stop()
	})
}

func TestBytesInFlightAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		ten, big := strings.Repeat("t", 10), strings.Repeat("b", 100)
		s, p := open(t, mqtt.Options{InFlightBytes: 30})
		sendAll(t, s, &o, ten, ten, ten, big, ten)
		synctest.Wait()
		p.run(s, nothing)
		p.expect(packets.Connect)
		ids := p.expectPublish(ten, ten, ten)
		p.send(connackOK)
		p.puback(ids[:2]...)
		p.quiet()
		p.puback(ids[2])
		ids = p.expectPublish(big) // alone it may go, however big
		p.quiet()
		p.puback(ids...)
		p.expectPublish(ten)
		p.stop()
	})
}

func TestColdStartSendsNoMoreThanTheFirstRoundTripCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		kB := strings.Repeat("k", 4<<10)
		s, p := open(t, mqtt.Options{})
		sendAll(t, s, &o, kB, kB, kB, kB, kB, kB)
		synctest.Wait()
		p.run(s, nothing)
		p.expect(packets.Connect)
		p.expectPublish(kB, kB, kB, kB)
		p.quiet()
		p.send(connackOK)
		p.expectPublish(kB, kB)
		p.stop()
	})
}

func TestPubacksOutOfOrderStrangeAndRefusing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := start(t, mqtt.Options{}, nothing, connackOK)
		sendAll(t, s, &o, "a", "b", "c", "d")
		ids := p.expectPublish("a", "b", "c", "d")
		p.puback(ids[2], ids[0], ids[0], 77)
		payloads, errs := o.take()
		if diff := cmp.Diff([]string{"c", "a"}, payloads); diff != "" || errors.Join(errs...) != nil {
			t.Errorf("out of order: %v\n%s", errs, diff)
		}
		p.send(fmt.Sprintf("40 09 %04x 97 05 1f 0002 6f68", ids[1]))
		payloads, errs = o.take()
		refused, ok := errors.AsType[*mqtt.RefusedError](errors.Join(errs...))
		if !ok || !slices.Equal(payloads, []string{"b"}) || refused.Reason != 0x97 || refused.Text != "oh" || refused.What != "publish up" {
			t.Errorf("quota exceeded: %v %v", payloads, errs)
		}
		p.send(fmt.Sprintf("40 03 %04x 10", ids[3]))
		_, errs = o.take()
		if e, ok := errors.AsType[*mqtt.RefusedError](errors.Join(errs...)); !ok || e.Reason != mqtt.NoSubscriber {
			t.Errorf("nobody subscribes: %v", errs)
		}
		p.stop()
		if payloads, _ := o.take(); payloads != nil {
			t.Errorf("done was called twice: %v", payloads)
		}
	})
}

func TestRetainedMessageNeedsNoSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := start(t, mqtt.Options{}, nothing, connackOK)
		if err := s.SendRetained(t.Context(), "ack", []byte("x"), o.of("x")); err != nil {
			t.Fatal(err)
		}
		pk := p.expect(packets.Publish)
		p.send(fmt.Sprintf("40 03 %04x 10", pk.PacketID))
		if _, errs := o.take(); !pk.FixedHeader.Retain || len(errs) != 1 || errs[0] != nil {
			t.Errorf("retain %v, outcome %v", pk.FixedHeader.Retain, errs)
		}
		p.stop()
	})
}

func TestSendGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := open(t, mqtt.Options{InFlight: 1})
		sendAll(t, s, &o, "first")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		for range 2 { // one waits for room, the other for its turn
			go func() { errs <- s.Send(ctx, "up", []byte("late"), nil) }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("Send: %v", err)
			}
		}
		p.run(s, nothing)
		p.expect(packets.Connect)
		p.expectPublish("first")
		p.stop()
	})
}

func TestSendRefusesWhatIsNoTopic(t *testing.T) {
	s, _ := open(t, mqtt.Options{})
	for _, topic := range []string{"", "a/+", "#", "a\x00b", "\xff", strings.Repeat("x", 65536)} {
		if err := s.Send(t.Context(), topic, nil, nil); err == nil {
			t.Errorf("topic %.20q was taken", topic)
		}
	}
}

func TestEndOfSessionFailsWhatIsInFlightAndWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := start(t, mqtt.Options{InFlight: 2}, nothing, connackOK)
		sendAll(t, s, &o, "a", "b", "c")
		p.expectPublish("a", "b")
		p.stop()
		payloads, errs := o.take()
		if diff := cmp.Diff([]string{"a", "b", "c"}, payloads); diff != "" || slices.Contains(errs, nil) {
			t.Error(diff, errs)
		}
	})
}
