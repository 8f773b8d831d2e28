package mqtt_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"skyhaul/link/mqtt"
)

func TestOptionsThatTheWireCannotCarry(t *testing.T) {
	long := strings.Repeat("x", 65536)
	for name, change := range map[string]func(*mqtt.Options){
		"dial":            func(o *mqtt.Options) { o.Dial = nil },
		"version":         func(o *mqtt.Options) { o.Version = 3 },
		"in flight":       func(o *mqtt.Options) { o.InFlight = -1 },
		"receive maximum": func(o *mqtt.Options) { o.ReceiveMaximum = 65536 },
		"max packet":      func(o *mqtt.Options) { o.MaxPacket = 1 << 30 },
		"keep-alive":      func(o *mqtt.Options) { o.KeepAlive = 65536 * time.Second },
		"expiry":          func(o *mqtt.Options) { o.SessionExpiry = -1 },
		"client id":       func(o *mqtt.Options) { o.ClientID = "\xff" },
		"user":            func(o *mqtt.Options) { o.User = long },
		"password":        func(o *mqtt.Options) { o.User, o.Password = "u", []byte(long) },
		"lone password":   func(o *mqtt.Options) { o.Version, o.Password = 4, []byte("p") },
		"filter":          func(o *mqtt.Options) { o.Subscribe = []string{"a", ""} },
		"birth":           func(o *mqtt.Options) { o.Birth = &mqtt.Message{Topic: "a/#"} },
		"will topic":      func(o *mqtt.Options) { o.Will = &mqtt.Message{Topic: "a\x00"} },
		"will":            func(o *mqtt.Options) { o.Will = &mqtt.Message{Topic: "a", Payload: []byte(long)} },
	} {
		dialled := false
		o := mqtt.Options{Dial: func(context.Context) (net.Conn, error) {
			dialled = true
			return nil, errBrokenPipe
		}}
		change(&o)
		if err := mqtt.New(o).Run(t.Context(), nothing); err == nil || dialled {
			t.Errorf("%s: error %v, dialled %v", name, err, dialled)
		}
	}
}
