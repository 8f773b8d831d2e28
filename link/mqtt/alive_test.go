package mqtt_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"skyhaul/link/mqtt"
)

// dies waits for the session to give up and returns after how long.
func dies(t *testing.T, p *peer, why string) time.Duration {
	t.Helper()
	begin := time.Now()
	err := p.outcome()
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("Run: %v, want %q", err, why)
	}
	return time.Since(begin)
}

func TestIdleSessionPingsOncePerKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, mqtt.Options{KeepAlive: 5 * time.Minute}, nothing, connackOK)
		begin := time.Now()
		for i := range 288 { // a day
			p.expect(packets.Pingreq)
			if got, want := time.Since(begin), time.Duration(i+1)*5*time.Minute; got != want {
				t.Fatalf("PINGREQ %d after %v, want %v", i, got, want)
			}
			p.send("d0 00")
		}
		p.stop()
	})
}

func TestSessionWithoutKeepAliveIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, mqtt.Options{Subscribe: []string{"a"}}, nothing, connackOK)
		p.expect(packets.Subscribe)
		p.send("90 04 8000 00 01")
		time.Sleep(24 * time.Hour)
		p.quiet()
		p.stop()
	})
}

func TestWritingPutsOffThePing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, mqtt.Options{KeepAlive: time.Minute}, nothing, connackOK)
		time.Sleep(50 * time.Second)
		go s.Send(t.Context(), "up", []byte("x"), func(error) {})
		p.puback(p.expectPublish("x")...)
		begin := time.Now()
		p.expect(packets.Pingreq)
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("PINGREQ %v after the PUBLISH, want 1 m", got)
		}
		p.stop()
	})
}

func TestPingsGoOnWhileTheAnswerIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, mqtt.Options{KeepAlive: 2 * time.Second}, nothing, connackOK)
		for range 3 {
			p.expect(packets.Pingreq)
		}
		p.send("d0 00", "d0 00", "d0 00")
		p.expect(packets.Pingreq)
		p.stop()
	})
}

func TestSilentBrokerIsGivenUp(t *testing.T) {
	t.Run("before CONNACK", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := open(t, mqtt.Options{})
			p.run(s, nothing)
			if got := dies(t, p, "broker silent"); got != 30*time.Second {
				t.Errorf("after %v, want 30 s", got)
			}
		})
	})
	t.Run("before SUBACK", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := start(t, mqtt.Options{Subscribe: []string{"a"}}, nothing, connackOK)
			if got := dies(t, p, "broker silent"); got != 30*time.Second {
				t.Errorf("after %v, want 30 s", got)
			}
		})
	})
	t.Run("after PINGREQ", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := start(t, mqtt.Options{KeepAlive: time.Minute}, nothing, connackOK)
			if got := dies(t, p, "broker silent"); got != 90*time.Second {
				t.Errorf("after %v, want 90 s", got)
			}
		})
	})
	t.Run("however often pinged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := start(t, mqtt.Options{KeepAlive: 10 * time.Second}, nothing, connackOK)
			if got := dies(t, p, "broker silent"); got != 40*time.Second {
				t.Errorf("after %v, want 40 s", got)
			}
		})
	})
	t.Run("after PUBLISH", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := start(t, mqtt.Options{}, nothing, connackOK)
			time.Sleep(time.Hour + 47*time.Second)
			payload := make([]byte, 480*60) // a minute at half of 9.6 kbit/s
			if err := s.Send(t.Context(), "up", payload, func(error) {}); err != nil {
				t.Fatal(err)
			}
			if got := dies(t, p, "broker silent"); got != 90*time.Second {
				t.Errorf("after %v, want 90 s", got)
			}
		})
	})
	t.Run("whatever more is sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := start(t, mqtt.Options{}, nothing, connackOK)
			go func() {
				for s.Send(t.Context(), "up", []byte("x"), func(error) {}) == nil {
					time.Sleep(10 * time.Second)
				}
			}()
			if got := dies(t, p, "broker silent"); got > 31*time.Second {
				t.Errorf("after %v, want 30 s", got)
			}
			time.Sleep(time.Minute)
		})
	})
}

// At 9.6 kbit/s a batch takes minutes, and each byte that comes is a sign of
// life.
func TestSlowLinkIsNoDeadLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		r := slow{next: make(chan error, 1)}
		s, p := start(t, mqtt.Options{KeepAlive: time.Hour}, r.receive, connackOK)
		payload := strings.Repeat("x", 256<<10)
		sendAll(t, s, &o, payload)
		for range 256 << 10 / 960 { // at 960 B/s
			time.Sleep(time.Second)
			if _, err := p.r.Discard(960); err != nil {
				t.Fatal(err)
			}
		}
		p.conn.SetReadDeadline(time.Now().Add(time.Second))
		left := make([]byte, 2000)
		for {
			if _, err := p.r.Read(left); err != nil {
				break
			}
		}
		p.conn.SetReadDeadline(time.Time{})
		time.Sleep(3 * time.Second)
		for _, b := range unhex("40 02 8001") {
			time.Sleep(25 * time.Second)
			p.conn.Write([]byte{b})
		}
		if _, errs := o.take(); len(errs) != 1 || errs[0] != nil {
			t.Errorf("outcome %v", errs)
		}
		p.stop()
	})
}

// A broker that talks but doesn't listen is as dead as a silent one.
func TestWriteThatDoesNotProceedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, mqtt.Options{}, nothing, connackOK)
		if err := s.Send(t.Context(), "up", make([]byte, 480), func(error) {}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		go func() {
			for {
				if _, err := p.conn.Write(unhex("30 04 0001 61 00")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if err := <-p.result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Run: %v, want a write that timed out", err)
		}
		if got := time.Since(begin).Round(time.Second); got > 38*time.Second {
			t.Errorf("after %v, want 31 s and a farewell", got)
		}
		time.Sleep(time.Minute)
	})
}

func TestBrokerThatAnswersAllButPublishIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := start(t, mqtt.Options{KeepAlive: 10 * time.Second}, nothing, connackOK)
		sendAll(t, s, &o, "x")
		p.expectPublish("x")
		begin := time.Now()
		go func() {
			for {
				if pk, err := p.read(); err != nil || pk.FixedHeader.Type != packets.Pingreq {
					return
				}
				p.conn.Write(unhex("d0 00"))
			}
		}()
		err := <-p.result
		if err == nil || !strings.Contains(err.Error(), "no PUBACK") || time.Since(begin).Round(time.Minute) != 5*time.Minute {
			t.Errorf("Run: %v after %v", err, time.Since(begin))
		}
	})
}

// The last write of a session is bounded, whatever the link does.
func TestEndIsBoundedWhereNothingCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outcomes
		s, p := start(t, mqtt.Options{}, nothing, connackOK)
		sendAll(t, s, &o, "stuck")
		synctest.Wait()
		p.cancel()
		begin := time.Now()
		if err := <-p.result; err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := time.Since(begin); got > 10*time.Second {
			t.Errorf("the end took %v", got)
		}
	})
}
