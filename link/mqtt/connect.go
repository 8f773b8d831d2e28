package mqtt

import (
	"errors"
	"math"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// begin queues CONNECT and, where the remembered limits allow all of it, what
// follows in the same write.
func (s *Session) begin() {
	s.pulse.begin(time.Now(), s.opt.KeepAlive)
	o := s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	encode(&o.control, s.connect().ConnectEncode)
	o.held = o.limits.forbids(s.opt.Subscribe) != nil
	if !o.held {
		s.greet()
	}
}

// connect is the packet of MQTT 5.0, section 3.1.
func (s *Session) connect() *packets.Packet {
	o := s.opt
	pk := &packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Connect},
		ProtocolVersion: o.Version,
		Connect: packets.ConnectParams{
			ProtocolName:     []byte("MQTT"),
			Clean:            o.CleanStart,
			Keepalive:        uint16(seconds(o.KeepAlive)),
			ClientIdentifier: o.ClientID,
			UsernameFlag:     o.User != "",
			Username:         []byte(o.User),
			PasswordFlag:     len(o.Password) > 0,
			Password:         o.Password,
		},
		Properties: packets.Properties{
			SessionExpiryInterval:     uint32(seconds(o.SessionExpiry)),
			SessionExpiryIntervalFlag: o.SessionExpiry > 0,
			MaximumPacketSize:         uint32(o.MaxPacket),
		},
	}
	if o.ReceiveMaximum < math.MaxUint16 {
		pk.Properties.ReceiveMaximum = uint16(o.ReceiveMaximum)
	}
	if w := o.Will; w != nil {
		c := &pk.Connect
		c.WillFlag, c.WillQos, c.WillTopic, c.WillPayload = true, 1, w.Topic, w.Payload
		c.WillRetain = w.Retain && !s.out.limits.NoRetain
	}
	return pk
}

// greet queues SUBSCRIBE and the birth message. The outbox is locked.
func (s *Session) greet() {
	o := s.out
	if len(s.opt.Subscribe) > 0 {
		encode(&o.control, s.subscribe().SubscribeEncode)
	}
	if b := s.opt.Birth; b != nil {
		o.reserved = 0
		o.launch(&o.control, publish{topic: b.Topic, payload: b.Payload, retain: b.Retain, done: s.born}, 0)
	}
}

func (s *Session) subscribe() *packets.Packet {
	pk := &packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Subscribe, Qos: 1},
		ProtocolVersion: s.opt.Version,
		PacketID:        subscribeID,
	}
	for _, f := range s.opt.Subscribe {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: 1})
	}
	return pk
}

// born logs a birth message that the broker refused: the session is worth
// having without.
func (s *Session) born(err error) {
	if _, refused := errors.AsType[*RefusedError](err); refused {
		s.opt.Logger.Warn("birth message refused", "err", err)
	}
}

// connack learns the broker's limits and lets go what waited for them.
func (s *Session) connack(pk *packets.Packet) error {
	if reason := Reason(pk.ReasonCode); reason != 0 {
		if reason == retainNotSupported {
			s.opt.Limits.NoRetain = true // so that the next CONNECT is taken
		}
		return &RefusedError{What: "connect", Reason: reason, Text: pk.Properties.ReasonString}
	}
	if pk.SessionPresent && s.opt.CleanStart {
		return violation(protocolViolation, "session present after a clean start")
	}
	l := limitsOf(pk)
	*s.opt.Limits = l
	if err := l.forbids(s.opt.Subscribe); err != nil {
		return err
	}
	s.pulse.connected(or(l.KeepAlive, s.opt.KeepAlive), len(s.opt.Subscribe) > 0)
	s.release(l)
	s.opt.Logger.Info("connected to the broker", "session_present", pk.SessionPresent,
		"receive_maximum", l.ReceiveMaximum, "max_packet", l.MaxPacket, "retain", !l.NoRetain)
	return nil
}

// release puts new limits in force and lets go what waited for them.
func (s *Session) release(l Limits) {
	o := s.out
	o.mu.Lock()
	o.limits, o.fresh = l, true
	if o.held {
		o.held = false
		s.greet()
	}
	o.mu.Unlock()
	poke(o.room)
	poke(o.wake)
}

// suback demands QoS 1 for each filter: less would lose messages unseen.
func (s *Session) suback(pk *packets.Packet) error {
	if pk.PacketID != subscribeID || len(pk.ReasonCodes) != len(s.opt.Subscribe) {
		return violation(protocolViolation, "suback for packet id %d with %d codes", pk.PacketID, len(pk.ReasonCodes))
	}
	for i, code := range pk.ReasonCodes {
		reason := Reason(code)
		if reason == 0 {
			reason = qosNotSupported
		}
		if reason != 1 {
			return &RefusedError{What: "subscribe " + s.opt.Subscribe[i], Reason: reason, Text: pk.Properties.ReasonString}
		}
	}
	s.pulse.subacked()
	return nil
}
