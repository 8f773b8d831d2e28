package mqtt_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"

	"skyhaul/link/mqtt"
)

func TestLimitsAreRememberedFromConnack(t *testing.T) {
	for connack, want := range map[string]mqtt.Limits{
		connackOK: {ReceiveMaximum: 65535},
		"20 16 00 00 13 21 0014 27 00000100 13 001e 24 00 25 00 28 00 2a 00": {
			ReceiveMaximum: 20, MaxPacket: 256, KeepAlive: 30 * time.Second,
			AtMostOnce: true, NoRetain: true, NoWildcard: true, NoShared: true,
		},
		"20 0b 00 00 08 24 01 25 01 28 01 2a 01": {ReceiveMaximum: 65535},
	} {
		synctest.Test(t, func(t *testing.T) {
			limits := mqtt.Limits{ReceiveMaximum: 3, NoRetain: true}
			s, p := open(t, mqtt.Options{Limits: &limits})
			p.run(s, nothing)
			p.expect(packets.Connect)
			p.send(connack)
			synctest.Wait()
			p.cancel()
			p.outcome()
			if diff := cmp.Diff(want, limits); diff != "" {
				t.Error(diff)
			}
			b, err := json.Marshal(limits)
			var back mqtt.Limits
			if err != nil || json.Unmarshal(b, &back) != nil || back != limits {
				t.Errorf("%s comes back as %+v", b, back)
			}
		})
	}
}

func TestMaximumPacketSizeIsExact(t *testing.T) {
	for version, overhead := range map[byte]int{
		4: 3 + 2 + 2 + 2, // type and two bytes of length, topic "up", packet id
		5: 3 + 2 + 2 + 2 + 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			var o outcomes
			limits := mqtt.Limits{ReceiveMaximum: 20, MaxPacket: 256}
			s, p := open(t, mqtt.Options{Version: version, Limits: &limits})
			fits := strings.Repeat("x", 256-overhead)
			sendAll(t, s, &o, fits)
			p.run(s, nothing)
			p.expect(packets.Connect)
			pk := p.expect(packets.Publish)
			if size := 3 + pk.FixedHeader.Remaining; size != 256 {
				t.Fatalf("%d bytes, want 256", size)
			}
			sendAll(t, s, &o, fits+"x", "next")
			p.quiet() // the limit is an old one: CONNACK may lift it
			if version == 4 {
				p.send("20 02 00 00")
				p.expectPublish(fits + "x")
			} else {
				p.send("20 08 00 00 05 27 00000100")
			}
			p.expectPublish("next")
			p.stop()
			payloads, errs := o.take()
			if version == 5 {
				e, ok := errors.AsType[*mqtt.TooLargeError](errs[0])
				if payloads[0] != fits+"x" || !ok || e.Size != 257 || e.Limit != 256 {
					t.Errorf("one byte too many: %v", errs[0])
				}
			}
		})
	}
}

// What left before CONNACK said that it is too large learns so, though the
// broker hangs up over it.
func TestTooLargeInTheFirstWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		big := strings.Repeat("x", 300)
		s, p := open(t, mqtt.Options{})
		sendAll(t, s, &o, "small", big)
		synctest.Wait()
		p.run(s, nothing)
		p.expect(packets.Connect)
		p.expectPublish("small", big)
		p.send("20 08 00 00 05 27 00000100", "e0 01 95")
		err := p.outcome()
		_, errs := o.take()
		_, large := errors.AsType[*mqtt.TooLargeError](errs[1])
		if !errors.Is(errs[0], err) || !large {
			t.Errorf("outcomes %v", errs)
		}
	})
}

func TestRetainFlagIsLeftOutWhereNothingIsRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := new(mqtt.Limits)
		m := &mqtt.Message{Topic: "st", Payload: []byte("x"), Retain: true}
		o := mqtt.Options{Limits: limits, Birth: m, Will: m}
		for _, retain := range []bool{true, false} {
			s, p := open(t, o)
			p.run(s, nothing)
			if c := p.expect(packets.Connect).Connect; !c.WillFlag || c.WillRetain != retain {
				t.Errorf("will %v, retained %v, want %v", c.WillFlag, c.WillRetain, retain)
			}
			if got := p.expect(packets.Publish).FixedHeader.Retain; got != retain {
				t.Errorf("birth retained %v, want %v", got, retain)
			}
			p.send("20 03 00 9a 00") // retain not supported
			p.outcome()
		}
	})
}

func TestNothingIsPipelinedThatTheBrokerForbadeLastTime(t *testing.T) {
	for name, limits := range map[string]mqtt.Limits{
		"QoS 1":    {ReceiveMaximum: 20, AtMostOnce: true},
		"wildcard": {ReceiveMaximum: 20, NoWildcard: true},
		"shared":   {ReceiveMaximum: 20, NoShared: true},
	} {
		o := mqtt.Options{Subscribe: []string{"$share/hub/+/x"}, Limits: &limits, Birth: &mqtt.Message{Topic: "b", Payload: []byte("birth")}}
		synctest.Test(t, func(t *testing.T) {
			var out outcomes
			s, p := open(t, o)
			sendAll(t, s, &out, "one")
			synctest.Wait()
			p.run(s, nothing)
			p.expect(packets.Connect)
			p.quiet()
			p.send(connackOK) // it has changed its mind
			p.expect(packets.Subscribe)
			p.expectPublish("birth", "one")
			p.stop()
		})
		for _, connack := range []string{"20 05 00 00 02 24 00", "20 05 00 00 02 28 00", "20 05 00 00 02 2a 00"} {
			synctest.Test(t, func(t *testing.T) {
				_, p := start(t, o, nothing, connack)
				err := p.outcome()
				if _, ok := errors.AsType[*mqtt.RefusedError](err); !ok {
					t.Errorf("%s, then %s: Run returned %v", name, connack, err)
				}
			})
		}
	}
}

func TestServerKeepAliveReplacesOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, mqtt.Options{KeepAlive: time.Hour}, nothing, "20 06 00 00 03 13 001e")
		begin := time.Now()
		p.expect(packets.Pingreq)
		if got := time.Since(begin); got != 30*time.Second {
			t.Errorf("PINGREQ after %v, want 30 s", got)
		}
		p.stop()
	})
}
