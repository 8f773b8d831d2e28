package mqtt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"skyhaul/link/mqtt"
)

// slow is a receiver that holds each message until the test lets it go.
type slow struct {
	taken []string
	next  chan error
}

func (r *slow) receive(topic string, payload []byte) error {
	r.taken = append(r.taken, topic+"="+string(payload))
	return <-r.next
}

func TestPubackFollowsReceive(t *testing.T) {
	for version, connack := range map[byte]string{4: "20 02 00 00", 5: connackOK} {
		synctest.Test(t, func(t *testing.T) {
			r := slow{next: make(chan error)}
			_, p := start(t, mqtt.Options{Version: version}, r.receive, connack)
			p.publish(1, "a", "one")
			p.publish(0, "b", "two")
			p.publish(9, "a", "three")
			p.quiet()
			r.next <- nil
			if id := p.expect(packets.Puback).PacketID; id != 1 {
				t.Errorf("PUBACK %d, want 1", id)
			}
			r.next <- nil
			p.quiet() // QoS 0 has none
			r.next <- nil
			if id := p.expect(packets.Puback).PacketID; id != 9 {
				t.Errorf("PUBACK %d, want 9", id)
			}
			if diff := cmp.Diff([]string{"a=one", "b=two", "a=three"}, r.taken); diff != "" {
				t.Error(diff)
			}
			p.stop()
		})
	}
}

func TestErrorFromReceiveEndsTheSessionUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		r := slow{next: make(chan error, 2)}
		_, p := start(t, mqtt.Options{}, r.receive, connackOK)
		p.publish(1, "a", "one")
		p.publish(2, "a", "two")
		p.publish(3, "a", "three")
		r.next <- nil
		r.next <- full
		if id := p.expect(packets.Puback).PacketID; id != 1 {
			t.Errorf("PUBACK %d, want 1", id)
		}
		if pk := p.expect(packets.Disconnect); pk.ReasonCode != 0 {
			t.Errorf("DISCONNECT with reason %#x", pk.ReasonCode)
		}
		if err := p.outcome(); err != full {
			t.Errorf("Run: %v, want %v itself", err, full)
		}
		if len(r.taken) != 2 {
			t.Errorf("received %q after the error", r.taken)
		}
	})
}

func TestSlowReceiverKeepsTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		r := slow{next: make(chan error)}
		s, p := start(t, mqtt.Options{KeepAlive: 20 * time.Second, ReceiveMaximum: 3}, r.receive, connackOK)
		for id := range uint16(3) {
			p.publish(id+1, "a", "x")
		}
		for range 30 { // ten minutes
			p.expect(packets.Pingreq)
			p.send("d0 00")
		}
		sendAll(t, s, &o, "meanwhile")
		p.puback(p.expectPublish("meanwhile")...)
		if _, errs := o.take(); len(errs) != 1 || errs[0] != nil {
			t.Errorf("outcome %v", errs)
		}
		for range 3 {
			r.next <- nil
			p.expect(packets.Puback)
		}
		p.stop()
	})
}

// What isn't held back by Receive Maximum is held back by TCP, and we go on
// saying that we live.
func TestSlowReceiverStopsReadingWhereOnlyTCPHoldsBack(t *testing.T) {
	for version, id := range map[byte]uint16{4: 5, 5: 0} {
		synctest.Test(t, func(t *testing.T) {
			r := slow{next: make(chan error)}
			connack := connackOK
			if version == 4 {
				connack = "20 02 00 00"
			}
			_, p := start(t, mqtt.Options{Version: version, KeepAlive: time.Minute, ReceiveMaximum: 3}, r.receive, connack)
			for range 5 { // what has been dealt with doesn't count
				p.publish(id, "a", "x")
				r.next <- nil
				if id != 0 {
					p.expect(packets.Puback)
				}
			}
			for range 3 {
				p.publish(id, "a", "x")
			}
			p.conn.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := p.conn.Write([]byte{0xd0}); err == nil {
				t.Fatal("it reads on")
			}
			p.conn.SetWriteDeadline(time.Time{})
			for range 60 {
				p.expect(packets.Pingreq) // for an hour, though no PINGRESP can be read
			}
			time.Sleep(10 * time.Second)
			r.next <- nil
			if id != 0 {
				p.expect(packets.Puback)
			}
			time.Sleep(25 * time.Second) // it was we who didn't read
			p.send("d0 00")
			r.next <- nil
			r.next <- nil
			p.cancel()
			if err := p.outcome(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestTheBrokersFaultsEndTheSession(t *testing.T) {
	long := strings.Repeat("00", 100)
	for name, c := range map[string]struct {
		version byte
		packet  string
		reason  byte
	}{
		"too large":               {5, "30 ff 01" + long, 0x95},
		"far too large":           {5, "30 ff ff ff 7f", 0x95},
		"length of five bytes":    {5, "d0 80 80 80 80 00", 0x81},
		"endless length":          {5, "30 ff ff ff ff ff ff", 0x81},
		"topic not UTF-8":         {5, "30 05 0002 c328 00", 0x81},
		"topic with NUL":          {5, "30 05 0002 6100 00", 0x81},
		"topic beyond the packet": {5, "30 05 00ff 6161 00", 0x81},
		"no topic":                {5, "30 03 0000 00", 0x82},
		"wildcard in a topic":     {5, "30 04 0001 23 00", 0x82},
		"topic alias":             {5, "30 07 0001 61 03 23 0001", 0x94},
		"QoS 3":                   {5, "36 06 0001 61 0001 00", 0x81},
		"QoS 2":                   {5, "34 06 0001 61 0001 00", 0x9b},
		"packet id 0":             {5, "32 06 0001 61 0000 00", 0x82},
		"unknown property":        {5, "30 06 0001 61 02 7f00", 0x81},
		"properties cut short":    {5, "30 05 0001 61 09 01", 0x81},
		"second connack":          {5, connackOK, 0x82},
		"suback unasked":          {5, "90 04 0009 00 01", 0x82},
		"puback without id":       {5, "40 01 00", 0x81},
		"puback with a tail":      {4, "40 03 0001 00", 0},
		"pingresp with a body":    {5, "d0 01 00", 0x82},
		"connect":                 {5, "10 00", 0x82},
		"pubrel":                  {5, "62 02 0001", 0x82},
		"auth":                    {5, "f0 00", 0x82},
		"type 0":                  {5, "00 00", 0x82},
		"disconnect in 3.1.1":     {4, "e0 00", 0},
		"flags":                   {5, "d1 00", 0x81},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				connack := connackOK
				if c.version == 4 {
					connack = "20 02 00 00"
				}
				_, p := start(t, mqtt.Options{Version: c.version, MaxPacket: 128}, nothing, connack)
				go p.conn.Write(unhex(c.packet))
				if c.version == 5 {
					if pk := p.expect(packets.Disconnect); pk.ReasonCode != c.reason {
						t.Errorf("DISCONNECT with reason %#02x, want %#02x", pk.ReasonCode, c.reason)
					}
				}
				err := p.outcome()
				if err == nil || !strings.HasPrefix(err.Error(), "broker breaks the protocol: ") {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestPacketsBeforeConnackEndTheSession(t *testing.T) {
	for _, packet := range []string{"30 04 0001 61 00", "d0 00", "40 02 8001", "e0 00", "20 01 00", "20 03 02 00 00", "20 02 00 00"} {
		synctest.Test(t, func(t *testing.T) {
			_, p := start(t, mqtt.Options{}, nothing, packet)
			if err := p.outcome(); err == nil || !strings.HasPrefix(err.Error(), "broker breaks the protocol: ") {
				t.Errorf("%s: Run: %v", packet, err)
			}
		})
	}
}

func TestBrokerThatExceedsReceiveMaximumHasToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := slow{next: make(chan error, 3)}
		_, p := start(t, mqtt.Options{ReceiveMaximum: 2}, r.receive, connackOK)
		for id := range uint16(3) {
			p.publish(id+1, "a", fmt.Sprint(id))
		}
		p.conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := p.conn.Write([]byte{0xd0}); err == nil {
			t.Fatal("it reads on")
		}
		p.conn.SetWriteDeadline(time.Time{})
		r.next <- nil
		p.expect(packets.Puback)
		p.send("d0 00")
		r.next <- nil
		r.next <- nil
		p.cancel()
		p.outcome()
	})
}

func TestBrokerThatHangsUp(t *testing.T) {
	for _, before := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, p := open(t, mqtt.Options{})
			p.run(s, nothing)
			p.expect(packets.Connect)
			if !before {
				p.send(connackOK)
				p.send("30 0a 00")
			}
			p.conn.Close()
			err := <-p.result
			if err == nil || strings.HasSuffix(err.Error(), "before CONNACK: EOF") != before {
				t.Errorf("Run: %v", err)
			}
		})
	}
}
