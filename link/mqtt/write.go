package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// farewell is how long the last write may take.
const farewell = 3 * time.Second

// write sends what the outbox holds, as much as there is in one go, until group
// ends. It leaves in good manners where caller ended it, and closes conn.
func (s *Session) write(caller, group context.Context, conn net.Conn) error {
	defer conn.Close()
	defer context.AfterFunc(group, func() { hurry(conn) })()
	var buf []byte
	for group.Err() == nil {
		var acks int
		if buf, acks = s.out.take(buf[:0]); len(buf) == 0 {
			select {
			case <-s.out.wake:
			case <-group.Done():
			}
			continue
		}
		s.in.settled(true, acks) // before the write: the broker may answer it sooner than we go on
		conn.SetWriteDeadline(time.Now().Add(answerTime + transit(len(buf))))
		if group.Err() != nil { // the end came while we set the longer one
			hurry(conn)
		}
		if _, err := conn.Write(buf); err != nil {
			return s.broken(group, conn, fmt.Errorf("write of %d bytes: %w", len(buf), err))
		}
		s.pulse.wrote(time.Now())
	}
	return s.leave(caller.Err() != nil, context.Cause(group), conn)
}

func hurry(conn net.Conn) { conn.SetWriteDeadline(time.Now().Add(farewell)) }

// broken gives the reader a moment to find out why the broker hung up on a
// write, and err for the case that it doesn't.
func (s *Session) broken(group context.Context, conn net.Conn, err error) error {
	s.cut <- err
	conn.SetReadDeadline(time.Now().Add(farewell))
	select {
	case <-group.Done():
	case <-time.After(2 * farewell):
	}
	return err
}

// leave says DISCONNECT on a connection that is in order, and why where the
// broker broke the protocol: 3.1.1 has no words for that.
func (s *Session) leave(asked bool, cause error, conn net.Conn) error {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ProtocolVersion: s.opt.Version}
	_, inOrder := errors.AsType[receiveError](cause)
	if foul, ok := errors.AsType[*protocolError](cause); ok && s.opt.Version == 5 {
		pk.ReasonCode = byte(foul.reason)
	} else if !asked && !inOrder {
		return nil
	}
	hurry(conn)
	_, err := conn.Write(s.out.last(&pk))
	return err
}

// take appends all there is to write and says how many PUBACKs that holds.
// Control packets come first, so that neither PUBACK nor PINGREQ waits behind
// batches.
func (o *outbox) take(buf []byte) (_ []byte, acks int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf = append(buf, o.control.Bytes()...)
	o.control.Reset()
	if !o.held {
		buf = append(buf, o.publishes.Bytes()...)
		o.publishes.Reset()
	}
	acks, o.acks = o.acks, 0
	return buf, acks
}

// last returns the end of what we write: PUBACKs still due and DISCONNECT.
// PUBLISHes that have not left stay behind, as their PUBACKs would come too
// late.
func (o *outbox) last(disconnect *packets.Packet) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	encode(&o.control, disconnect.DisconnectEncode)
	return bytes.Clone(o.control.Bytes())
}

func (o *outbox) puback(id uint16) {
	o.mu.Lock()
	encode(&o.control, (&packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Puback},
		ProtocolVersion: o.opt.Version,
		PacketID:        id,
	}).PubackEncode)
	o.acks++
	o.mu.Unlock()
	poke(o.wake)
}

func (o *outbox) pingreq() {
	o.mu.Lock()
	encode(&o.control, (&packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}).PingreqEncode)
	o.mu.Unlock()
	poke(o.wake)
}
