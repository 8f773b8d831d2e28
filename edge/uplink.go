package edge

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"

	"skyhaul/config"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
	"skyhaul/link"
	"skyhaul/link/batch"
	"skyhaul/link/mqtt"
)

// hubCursor is the name of the hub's cursor in every lane.
const hubCursor = "hub"

// ConfigError is a configuration that names what can't be used, such as a
// secret that is not there. Trying again does not mend it.
type ConfigError struct{ error }

func (d *Daemon) connectUplink(c *config.Uplink) (err error) {
	if d.ledger, err = link.OpenLedger(d.opts.State, "ledger", c.Tariff, d.opts.Clock.Now); err != nil {
		d.log.Error("ledger is unreadable, counting begins anew", "err", err)
		if d.ledger, err = link.OpenLedger(unread{d.opts.State}, "ledger", c.Tariff, d.opts.Clock.Now); err != nil {
			return err
		}
	}
	session, err := d.sessionOptions(c)
	if err != nil {
		return ConfigError{err}
	}
	key, err := d.hubKey(c.HubKeyFile)
	if err != nil {
		return ConfigError{err}
	}
	dial, err := d.dialer(c)
	if err != nil {
		return ConfigError{err}
	}
	var limits mqtt.Limits
	d.uplink = link.New(link.Options{
		Site: d.opts.Config.Site.ID, Prefix: d.opts.Config.Site.TopicPrefix, Key: key, Config: d.opts.Config.Hash,
		Lanes: d.sources(), Schemas: d.schemas.Lookup, Window: c.Window, Ledger: d.ledger,
		NewSession: func(s link.Setup) link.Session {
			o := session
			o.Dial, o.Limits = connected(dial, s.Connected), &limits
			o.Subscribe, o.Birth, o.Will = s.Subscribe, (*mqtt.Message)(&s.Birth), (*mqtt.Message)(&s.Will)
			return mqtt.New(o)
		},
		Keeper: d.opts.State, CoderSlots: uint8(c.CoderSlots), CoderCPU: c.CoderCPU,
		MaxBatch: c.MaxBatch, MaxAge: c.MaxAge, HoleAfter: c.HoleAfter, ResendAfter: c.ResendAfter,
		Now: d.opts.Clock.Now, Tick: func() { d.opts.Tick(PartUplink) }, Logger: d.log,
	})
	return nil
}

// unread is a folder of values in which none can be read.
type unread struct{ *stable.Dir }

// Load finds nothing.
func (unread) Load(string) ([]byte, error) { return nil, fs.ErrNotExist }

// wake tells the uplink that something urgent became durable.
func (d *Daemon) wake() {
	if d.uplink != nil {
		d.uplink.Wake()
	}
}

// sources gives every lane with the hub's cursor in it.
func (d *Daemon) sources() (ss []link.Source) {
	for _, l := range point.Lanes() {
		lane := d.store.Lane(l.String())
		ss = append(ss, link.Source{Lane: l, Records: lane, Cursor: lane.Cursor(hubCursor)})
	}
	return ss
}

func (d *Daemon) sessionOptions(c *config.Uplink) (mqtt.Options, error) {
	o := c.Session
	o.Logger = d.log
	if c.PasswordFile == "" {
		return o, nil
	}
	password, err := d.secret("uplink: password_file", c.PasswordFile)
	o.Password = bytes.TrimRight(password, "\r\n")
	return o, err
}

func (d *Daemon) hubKey(file string) (key batch.Key, err error) {
	text, err := d.secret("uplink: hub_key_file", file)
	if err != nil {
		return key, err
	}
	bits, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(bits) != len(key) {
		return key, fmt.Errorf("uplink: hub_key_file: %s is not a key: it holds 64 hexadecimal digits, from `skyhub key site`", file)
	}
	return batch.Key(bits), nil
}

// dialer counts every byte below TLS, as the operator of the link does.
func (d *Daemon) dialer(c *config.Uplink) (mqtt.Dialer, error) {
	tcp := mqtt.Dialer(d.ledger.Dial(mqtt.DialTCP(c.Address)))
	if c.TLS == nil {
		return tcp, nil
	}
	o := *c.TLS
	for _, file := range []*string{&o.CAFile, &o.CertFile, &o.KeyFile} {
		*file = d.path(*file)
	}
	return mqtt.DialTLS(tcp, c.Address, o)
}

// connected calls then when dial has succeeded.
func connected(dial mqtt.Dialer, then func()) mqtt.Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err == nil {
			then()
		}
		return conn, err
	}
}
