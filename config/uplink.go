package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"skyhaul/link/batch"
	"skyhaul/link/mqtt"
	"skyhaul/link/tariff"
	"skyhaul/link/window"
)

// Uplink is the way to the centre.
type Uplink struct {
	Address string           // host:port of the broker
	TLS     *mqtt.TLSOptions // nil: in the clear; its files may be secrets, see Secrets
	// Session holds version, client id, user, keep-alive and the limit of bytes
	// in flight; the rest of it is for who opens the session.
	Session      mqtt.Options
	PasswordFile string // "" for none; a path or credential:NAME
	HubKeyFile   string // the same
	MaxBatch     int    // bytes
	CoderSlots   int    // log2 of the counters that the coder keeps of each point
	CoderCPU     int    // most percent of a core that it takes
	MaxAge       time.Duration
	HoleAfter    time.Duration
	ResendAfter  time.Duration
	Window       window.Window
	Tariff       tariff.Plan
}

func (r *reader) uplink(root *table, site Site) *Uplink {
	ts := root.subs("uplink")
	if len(ts) == 0 {
		return nil
	}
	if len(ts) > 1 {
		root.fail("uplink", "%d uplinks are given: one is the most", len(ts))
	}
	t := ts[0]
	u := &Uplink{
		PasswordFile: r.path(t.text("password_file", "")),
		HubKeyFile:   r.path(t.needText("hub_key_file", "the file with the site's key, from `skyhub key site`")),
		MaxBatch:     int(t.size("max_batch", 64<<10, 256, 1<<20)),
		CoderSlots:   t.integer("coder_slots", batch.DefaultSlots, 6, 16),
		CoderCPU:     t.integer("coder_cpu", 50, 1, 100),
		MaxAge:       t.duration("max_age", time.Minute, time.Second, 24*time.Hour),
		HoleAfter:    t.duration("hole_after", time.Minute, time.Second, 24*time.Hour),
		ResendAfter:  t.duration("resend_after", 24*time.Hour, time.Hour, 8760*time.Hour),
	}
	u.Session = mqtt.Options{
		Version:       byte(t.integer("mqtt", 5, 4, 5)),
		ClientID:      t.text("client_id", "skyhaul-"+site.ID),
		User:          t.text("user", ""),
		KeepAlive:     t.duration("keep_alive", 5*time.Minute, 10*time.Second, 12*time.Hour),
		InFlightBytes: int(t.size("in_flight", 64<<10, 1<<10, 16<<20)),
		CleanStart:    true,
	}
	tls := mqtt.TLSOptions{CAFile: r.path(t.text("ca_file", "")), CertFile: r.path(t.text("cert_file", "")), KeyFile: r.path(t.text("key_file", ""))}
	if (tls.CertFile == "") != (tls.KeyFile == "") {
		t.fail("cert_file", "cert_file and key_file go together")
	}
	if t.broker(u) {
		u.TLS = &tls
	} else if tls.CAFile+tls.CertFile+tls.KeyFile != "" {
		t.fail("broker", "ca_file, cert_file and key_file need a tls:// broker")
	}
	if u.PasswordFile != "" && u.Session.User == "" {
		t.fail("user", "is missing beside password_file")
	}
	u.Window = r.window(t)
	u.Tariff = r.tariff(t)
	return u
}

// broker reads the address and reports whether it is to be reached by TLS.
func (t *table) broker(u *Uplink) (tls bool) {
	s := t.needText("broker", "as tls://broker.example:8883")
	if s == "" {
		return false
	}
	b, err := url.Parse(s)
	ports := map[string]string{"tcp": "1883", "tls": "8883"}
	switch {
	case err != nil || b.Hostname() == "" || strings.Trim(b.Path, "/") != "" || b.User != nil:
		t.fail("broker", "%q is no broker: write it as tls://host:8883 or tcp://host:1883", s)
		return false
	case ports[b.Scheme] == "":
		t.fail("broker", "%q: the scheme %q is neither tcp nor tls", s, b.Scheme)
		return false
	}
	u.Address = b.Host
	if b.Port() == "" {
		u.Address += ":" + ports[b.Scheme]
	}
	return b.Scheme == "tls"
}

func (r *reader) window(uplink *table) window.Window {
	t := uplink.sub("window", "[uplink.window]")
	if t == nil {
		return window.Always{}
	}
	const month = 31 * 24 * time.Hour
	expr := t.text("cron", "")
	duration := t.duration("duration", 10*time.Minute, time.Second, month)
	every := t.duration("every", 6*time.Hour, time.Second, month)
	open := t.duration("open", 10*time.Minute, time.Second, month)
	offset := t.duration("offset", 0, 0, month)
	byCron := t.has("cron") || t.has("duration")
	byEvery := t.has("every") || t.has("open") || t.has("offset")
	var w window.Window = window.Always{}
	var err error
	switch {
	case byCron && byEvery:
		err = fmt.Errorf("give either cron and duration, or every and open")
	case byCron && expr == "":
		err = fmt.Errorf("is missing beside duration")
	case byCron:
		w, err = window.NewCron(expr, duration)
	case byEvery:
		w, err = window.NewEvery(every, open, offset)
	}
	if err != nil {
		key := "every"
		if byCron {
			key = "cron"
		}
		t.fail(key, "%v", err)
		return window.Always{}
	}
	return w
}

func (r *reader) tariff(uplink *table) tariff.Plan {
	t := uplink.sub("tariff", "[uplink.tariff]")
	if t == nil {
		t = newTable(&r.probs, "[uplink.tariff]", nil, uplink.where)
	}
	p := tariff.Plan{
		Currency:   t.text("currency", "USD"),
		SessionMin: t.size("session_min", 0, 0, 1<<30),
		Increment:  t.size("increment", 0, 0, 1<<30),
		EachWay:    t.flag("each_way", false),
		FloorAfter: t.duration("floor_after", 0, 0, 24*time.Hour),
		FloorRate:  t.size("floor_rate", 0, 0, 1<<30),
		Budget:     t.size("budget", 0, 0, 1<<50),
		Hard:       t.flag("hard", false),
		ResetDay:   t.integer("reset_day", 1, 1, 28),

		SessionMinTime: t.duration("session_min_time", 0, 0, 24*time.Hour),
		TimeIncrement:  t.duration("time_increment", 0, 0, time.Hour),
	}
	p.PerMB, _ = t.number("per_mb", false, 0, 1e9)
	p.PerMinute, _ = t.number("per_minute", false, 0, 1e9)
	if err := p.Check(); err != nil {
		t.fail("currency", "%v", err)
	}
	return p
}
