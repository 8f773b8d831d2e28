package mqtt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"skyhaul/link/mqtt"
)

// forEachBroker runs f with each broker and version.
func forEachBroker(t *testing.T, f func(t *testing.T, o mqtt.Options)) {
	for name, start := range brokers {
		for _, version := range []byte{4, 5} {
			t.Run(fmt.Sprintf("%s-%d", name, version), func(t *testing.T) {
				o := start(t)
				o.Version = version
				f(t, o)
			})
		}
	}
}

// background runs a session until stop is called, which returns what Run
// returned.
func background(t *testing.T, s *mqtt.Session, receive func(string, []byte) error) (stop func() error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx, receive) }()
	return func() error {
		cancel()
		return <-result
	}
}

// connectedBy returns a birth message on a topic that the session itself
// subscribes to: when it comes back, the subscription stands.
func connectedBy(topic string) *mqtt.Message {
	return &mqtt.Message{Topic: topic, Payload: []byte("here")}
}

func TestFiveThousandMessagesArriveInOrderAndNoneTwice(t *testing.T) {
	forEachBroker(t, func(t *testing.T, base mqtt.Options) {
		const n = 5000
		ready, arrived := make(chan bool), make(chan bool)
		var next uint64
		o := base
		o.ClientID, o.CleanStart = "hub", true
		o.Subscribe, o.Birth = []string{"site/+/up", "hello"}, connectedBy("hello")
		stopHub := background(t, mqtt.New(o), func(topic string, payload []byte) error {
			if topic == "hello" {
				close(ready)
				return nil
			}
			if got := binary.BigEndian.Uint64(payload); got != next {
				return fmt.Errorf("message %d where %d was due", got, next)
			}
			if next++; next == n {
				close(arrived)
			}
			return nil
		})
		<-ready
		o = base
		o.ClientID, o.CleanStart = "site", true
		site := mqtt.New(o)
		stopSite := background(t, site, nothing)
		acked := make(chan error, n)
		for i := range uint64(n) {
			payload := make([]byte, 100)
			binary.BigEndian.PutUint64(payload, i)
			if err := site.Send(t.Context(), "site/a/up", payload, func(err error) { acked <- err }); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			if err := <-acked; err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-arrived:
		case <-time.After(10 * time.Second):
			t.Error("some are missing")
		}
		if err := errors.Join(stopSite(), stopHub()); err != nil {
			t.Error(err)
		}
	})
}

// The hub's case: what came while it was away is there when it is back, and
// what it took without acknowledging comes again, though its first write
// publishes too.
func TestKeptSessionLosesNothingWhileAway(t *testing.T) {
	forEachBroker(t, func(t *testing.T, base mqtt.Options) {
		o := base
		o.ClientID, o.SessionExpiry, o.Subscribe = "hub", time.Hour, []string{"up", "hello"}
		there := make(chan bool, 1)
		first := o
		first.Birth = connectedBy("hello")
		stop := background(t, mqtt.New(first), func(string, []byte) error { there <- true; return nil })
		<-there
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		publishAll(t, base, numbered(10)...)

		// Brokers may hand out again what was acknowledged just before the end,
		// and mochi forgets the order: what counts is that nothing is missing.
		seen := make(map[string]int)
		var last string
		stopped := errors.New("stopped")
		until := func(enough func() bool) {
			t.Helper()
			hub := mqtt.New(o)
			for i := range 5 { // ids of ours in the way of unacknowledged deliveries
				if err := hub.SendRetained(t.Context(), fmt.Sprint("ack/", i), []byte("x"), func(error) {}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := hub.Run(ctx, func(topic string, payload []byte) error {
				if topic == "hello" {
					return nil
				}
				last = string(payload)
				if seen[last]++; enough() {
					return stopped
				}
				return nil
			})
			if err != stopped {
				t.Fatalf("Run: %v, seen %v", err, seen)
			}
		}
		until(func() bool { return len(seen) == 4 })
		unacked := last
		until(func() bool { return len(seen) == 10 && seen[unacked] > 1 })
	})
}

// publishAll publishes payloads to "up", and returns when the broker has handed
// them on: mochi acknowledges before it does.
func publishAll(t *testing.T, o mqtt.Options, payloads ...string) {
	t.Helper()
	o.ClientID, o.CleanStart = "site", true
	s := mqtt.New(o)
	for _, m := range payloads {
		if err := s.Send(t.Context(), "up", []byte(m), func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	acked := make(chan error, 1)
	if err := s.SendRetained(t.Context(), "end", nil, func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	stop := background(t, s, nothing)
	if err := <-acked; err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestMosquittoRefusesBadCredentialsAfterPipelinedPublishes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", file, "site", "secret").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		t.Skip("mosquitto_passwd is not installed")
	}
	addr := startMosquitto(t, "allow_anonymous false\npassword_file "+file+"\n")
	for _, version := range []byte{4, 5} {
		for range 20 { // the broker hangs up on unread bytes: the refusal must survive that
			s := mqtt.New(mqtt.Options{Dial: mqtt.DialTCP(addr), Version: version, ClientID: "a", User: "site", Password: []byte("wrong")})
			var o outcomes
			for range 3 {
				if err := s.Send(t.Context(), "up", make([]byte, 5000), o.of("x")); err != nil {
					t.Fatal(err)
				}
			}
			err := s.Run(t.Context(), nothing)
			e, ok := errors.AsType[*mqtt.RefusedError](err)
			if !ok || e.Reason != mqtt.NotAuthorized && e.Reason != mqtt.BadCredentials || len(o.errs) != 3 {
				t.Fatalf("version %d: Run: %v, outcomes %v", version, err, o.errs)
			}
		}
		s := mqtt.New(mqtt.Options{Dial: mqtt.DialTCP(addr), Version: version, ClientID: "a", User: "site", Password: []byte("secret"), Subscribe: []string{"x"}, Birth: connectedBy("x")})
		done := errors.New("done")
		if err := s.Run(t.Context(), func(string, []byte) error { return done }); err != done {
			t.Errorf("version %d, right password: %v", version, err)
		}
	}
}

func TestMosquittosMaximumPacketSizeKeepsTheConnection(t *testing.T) {
	addr := startMosquitto(t, "allow_anonymous true\nmax_packet_size 256\n")
	var limits mqtt.Limits
	s := mqtt.New(mqtt.Options{Dial: mqtt.DialTCP(addr), ClientID: "a", CleanStart: true, Subscribe: []string{"up"}, Birth: connectedBy("up"), Limits: &limits})
	there := make(chan string, 2)
	stop := background(t, s, func(_ string, p []byte) error { there <- string(p); return nil })
	<-there
	err := s.Send(t.Context(), "up", make([]byte, 1000), nil)
	if e, ok := errors.AsType[*mqtt.TooLargeError](err); !ok || e.Limit != 256 {
		t.Errorf("Send: %v", err)
	}
	if err := s.Send(t.Context(), "up", []byte("small"), func(error) {}); err != nil {
		t.Error(err)
	}
	if got := <-there; got != "small" {
		t.Errorf("%q arrived", got)
	}
	if err := stop(); err != nil || limits.MaxPacket != 256 || limits.ReceiveMaximum != 20 {
		t.Errorf("Run: %v, limits %+v", err, limits)
	}
}
