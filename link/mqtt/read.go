package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// read handles what the broker sends until the connection ends.
func (s *Session) read(ctx context.Context, conn net.Conn) error {
	r := bufio.NewReader(counted{conn, s.pulse})
	connected, strays := false, 0
	defer func() {
		if strays > 0 {
			s.opt.Logger.Warn("pubacks for nothing in flight", "count", strays)
		}
	}()
	for {
		pk, err := readPacket(r, s.opt.Version, s.opt.MaxPacket)
		if err != nil {
			return s.readError(err, connected)
		}
		switch t := pk.FixedHeader.Type; {
		case connected == (t == packets.Connack):
			err = violation(protocolViolation, "%s before or after its time", packets.PacketNames[t])
		case t == packets.Connack:
			connected, err = true, s.connack(pk)
		case t == packets.Puback:
			if !s.out.settle(pk.PacketID, Reason(pk.ReasonCode), pk.Properties.ReasonString) {
				strays++
			}
		default:
			err = s.handle(ctx, pk)
		}
		if err != nil {
			return err
		}
	}
}

// handle takes what a broker may send in an open session, PUBACK apart.
func (s *Session) handle(ctx context.Context, pk *packets.Packet) error {
	switch pk.FixedHeader.Type {
	case packets.Publish:
		s.arrive(ctx, pk)
		return nil
	case packets.Suback:
		return s.suback(pk)
	case packets.Pingresp:
		s.pulse.ponged()
		return nil
	default: // DISCONNECT, as nothing else is decoded
		return &RefusedError{What: "session", Reason: Reason(pk.ReasonCode), Text: pk.Properties.ReasonString}
	}
}

func (s *Session) readError(err error, connected bool) error {
	if _, foul := errors.AsType[*protocolError](err); foul {
		return err
	}
	when := ""
	if !connected {
		when = " before CONNACK"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // set when a write has failed
		select {
		case err := <-s.cut:
			return err
		default:
		}
	}
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("broker closed the connection%s: %w", when, err)
	default:
		return fmt.Errorf("read%s: %w", when, err)
	}
}

// readPacket reads one packet of at most limit bytes. Its errors are those of r
// and protocolError.
func readPacket(r *bufio.Reader, version byte, limit int) (*packets.Packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	pk := &packets.Packet{ProtocolVersion: version}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return nil, malformed(first, err)
	}
	n, header, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if 1+header+n > limit {
		return nil, violation(packetTooLarge, "packet of %d bytes, we granted %d", 1+header+n, limit)
	}
	body, err := readBody(r, n)
	if err != nil {
		return nil, err
	}
	pk.FixedHeader.Remaining = n
	if err := decode(pk, body); err != nil {
		return nil, malformed(first, err)
	}
	return pk, nil
}

func malformed(first byte, err error) error {
	if _, foul := errors.AsType[*protocolError](err); foul {
		return err
	}
	return violation(malformedPacket, "%s: %v", packets.PacketNames[first>>4], err)
}

// readLength reads the remaining length: seven bits a byte, low ones first, at
// most four bytes. MQTT 5.0, section 1.5.5. The codec's own takes any number of
// bytes.
func readLength(r io.ByteReader) (n, size int, err error) {
	for size < 4 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, size, eof(err)
		}
		n |= int(b&0x7f) << (7 * size)
		size++
		if b < 0x80 {
			return n, size, nil
		}
	}
	return 0, size, violation(malformedPacket, "remaining length of more than four bytes")
}

// readBody reads n bytes into memory of its own, which grows as they come.
func readBody(r io.Reader, n int) ([]byte, error) {
	const step = 64 << 10
	body := make([]byte, 0, min(n, step))
	for len(body) < n {
		body = slices.Grow(body, min(n-len(body), step))
		next := body[len(body):min(n, cap(body))]
		k, err := io.ReadFull(r, next)
		body = body[:len(body)+k]
		if err != nil {
			return nil, eof(err)
		}
	}
	return body, nil
}

// eof is for an end of file inside a packet.
func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decode reads a packet's variable part. What a broker may not send at all, or
// not to us, is refused here.
func decode(pk *packets.Packet, body []byte) error {
	switch t := pk.FixedHeader.Type; {
	case t == packets.Connack:
		return decodeConnack(pk, body)
	case t == packets.Publish:
		return decodePublish(pk, body)
	case t == packets.Puback && (pk.ProtocolVersion == 5 || len(body) == 2):
		return pk.PubackDecode(body)
	case t == packets.Suback:
		return pk.SubackDecode(body)
	case t == packets.Pingresp && len(body) == 0:
		return nil
	case t == packets.Disconnect && pk.ProtocolVersion == 5:
		return decodeDisconnect(pk, body)
	default:
		return violation(protocolViolation, "%s of %d bytes", packets.PacketNames[t], len(body))
	}
}

// decodeConnack gives reasons as MQTT 5 numbers them. A broker that knows no
// MQTT 5 says so in the two bytes of 3.1.1.
func decodeConnack(pk *packets.Packet, body []byte) error {
	if len(body) < 2 || body[0] > 1 || pk.ProtocolVersion == 4 && len(body) != 2 {
		return violation(malformedPacket, "connack %.8x", body)
	}
	if code := body[1]; len(body) == 2 && code != 0 {
		pk.ReasonCode = byte(or(returnCodes[code], unspecified))
		return nil
	}
	return pk.ConnackDecode(body)
}

func decodePublish(pk *packets.Packet, body []byte) error {
	if err := pk.PublishDecode(body); err != nil {
		return err
	}
	if pk.FixedHeader.Qos > 1 {
		return violation(qosNotSupported, "publish with QoS 2, we subscribed with 1")
	}
	if code := pk.PublishValidate(0); code != packets.CodeSuccess {
		return violation(Reason(code.Code), "publish: %s", code.Reason)
	}
	return nil
}

// decodeDisconnect knows that one byte is a reason without properties, which
// the codec overlooks. MQTT 5.0, section 3.14.2.2.
func decodeDisconnect(pk *packets.Packet, body []byte) error {
	if len(body) == 1 {
		pk.ReasonCode = body[0]
		return nil
	}
	return pk.DisconnectDecode(body)
}

// counted tells the pulse of every byte that comes.
type counted struct {
	net.Conn
	pulse *pulse
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.pulse.heard(time.Now())
	}
	return n, err
}
